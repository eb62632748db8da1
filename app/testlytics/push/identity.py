"""What GitHub Actions signs for a job (OpenID Connect), shown to the service in place of a token.

It lives for minutes, so it is asked for in each push and kept in no file. The job's own secret,
which it is asked for with, goes to the address that GitHub gave the job, and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode

from testlytics.push import waits
from testlytics.push.address import Service, is_token, split
from testlytics.push.waits import World
from testlytics_collector.errors import ConfigError

FRESH_S = 120.0
"""A token is shown for so long, in seconds, then a new one is asked for; GitHub's live for 300."""

TRIES = 2
_TRY_S = 5.0
_URL, _SECRET = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"


class Identity:
    """Asks for the tokens of one job.

    Args:
        issuer: Where to ask, with the job's secret.
        path: What is asked for there, with its query.
    """

    def __init__(self, issuer: Service, path: str) -> None:
        self._issuer, self._path = issuer, path
        self._token, self._at = "", 0.0

    def token(self, world: World) -> str:
        """Return a token that is still good for a while.

        Args:
            world: Clocks and chance.

        Raises:
            UnreachableError: There is none to be had now.
        """
        if not self._token or world.steady() - self._at >= FRESH_S:
            self._token, self._at = self._ask(world), world.steady()
        return self._token

    def _ask(self, world: World) -> str:
        from testlytics.push.sending import UnreachableError, get

        why = ""
        for tried in range(1, TRIES + 1):
            try:
                answer = get(self._issuer, self._path, seconds=_TRY_S)
            except UnreachableError as error:
                why = error.message
            else:
                token = _value(answer.body) if answer.status == 200 else None
                if token is not None:
                    return token
                why = f"{self._issuer.netloc} answered {answer.status}, and gave none."
            if tried < TRIES:
                world.sleep(waits.backoff_s(tried, world.draw))
        raise UnreachableError(f"there is no ID token of this job: {why}")


def of_job(environ: Mapping[str, str], audience: str) -> Identity:
    """Return who asks for the tokens of the job that runs here; nothing is asked yet.

    Args:
        environ: The environment's variables.
        audience: Whom the tokens are for.

    Raises:
        ConfigError: This is no such job, it has not the permission, or the address is one that no
            secret may be sent to. What the variables hold is not in the message.
    """
    url, secret = environ.get(_URL, ""), environ.get(_SECRET, "")
    if not url or not secret:
        raise ConfigError(
            f"--id-token finds no job of GitHub Actions that may ask for one: {_URL} and {_SECRET} "
            "are not set.",
            slug="push-id-token",
            hint="The job needs permissions: id-token: write, which pull requests of forks never "
            "have. Elsewhere, give a token.",
        )
    found = split(url)
    if (
        found is None
        or not is_token(secret)
        or not (found[0].is_near or found[1].scheme == "https")
    ):
        raise ConfigError(
            f"{_URL} and {_SECRET} are none that are used: https:// with a host was expected, and "
            "a token.",
            slug="push-id-token",
            hint="GitHub Actions sets both; set them nowhere else.",
        )
    issuer, parts = found
    query = "&".join(filter(None, [parts.query, urlencode({"audience": audience})]))
    return Identity(replace(issuer, path="", token=secret), f"{parts.path or '/'}?{query}")


def _value(body: bytes) -> str | None:
    try:
        value = json.loads(body)["value"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return value if isinstance(value, str) and is_token(value) else None

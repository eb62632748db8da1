"""Tokens that nobody has to keep: a CI job shows what its provider has signed (OpenID Connect).

What is trusted stands in a file: which issuer, for which audience, of which repositories and refs.
A token is looked at as RFC 7519 (JWT) and RFC 8725 (its best current practice) say: one algorithm,
keys from the issuer's own address alone, and nothing that the token itself names. Why one is
refused goes to the log; who sent it is told only that it is.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import jwt
import msgspec

from testlytics.service.access import Caller
from testlytics_collector.errors import ConfigError, Error

if TYPE_CHECKING:
    from email.message import Message

_log = logging.getLogger("testlytics.service")

LEEWAY_S = 30
"""How far clocks may differ, in seconds."""

FETCH_EVERY_S = 10.0
"""Keys are asked for no more often than this, whatever tokens come."""

_FRESH_S = 3_600.0
_STALE_S = 86_400.0
_TIMEOUT_S = 5.0
_MOST_BYTES = 1 << 20
_LONGEST = 16_384
_LEAST_BITS = 2_048
_SCOPES = {"ingest", "read"}
_NEAR = {"localhost", "127.0.0.1", "::1"}
_REPOSITORY = re.compile(r"[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}", re.ASCII)
_TRUSTED = re.compile(r"[A-Za-z0-9._-]{1,100}/(?:\*|[A-Za-z0-9._-]{1,100})", re.ASCII)
_REQUIRED = ["exp", "iat", "iss", "aud", "repository", "ref"]


class Trust(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose tokens are taken, and what they open.

    Attributes:
        issuer: The `iss` of the token, an address.
        audience: Its `aud`: what the job asked the token for, usually the service's own address.
        repository: Its `repository`, `owner/name`; `owner/*` for all of one owner.
        project: What it opens; `{repository}` in it stands for the repository.
        ref: Its `ref`; `*` stands for any signs.
        scopes: What it may do: `ingest`, `read`.
        jwks: Where the issuer's keys are; None for `ISSUER/.well-known/jwks`.
        claims: Other claims that must be equal, such as `repository_owner_id`.
    """

    issuer: str
    audience: str
    repository: str
    project: str
    ref: str = "*"
    scopes: tuple[str, ...] = ("ingest",)
    jwks: str | None = None
    claims: dict[str, str] = {}

    @property
    def keys_at(self) -> str:
        """Where the issuer's keys are."""
        return self.jwks or f"{self.issuer.rstrip('/')}/.well-known/jwks"

    def misses(self, claims: Mapping[str, Any]) -> str | None:
        """Name the first claim that is not as it must be; None where all are.

        `aud` and `iss` are not looked at here: they were checked with the signature.
        """
        repository, ref = claims["repository"], claims["ref"]
        if not isinstance(repository, str) or not _REPOSITORY.fullmatch(repository):
            return "repository"
        owner, name = self.repository.split("/")
        if repository != self.repository and (name != "*" or repository.split("/")[0] != owner):
            return "repository"
        if not isinstance(ref, str) or not fnmatchcase(ref, _literal(self.ref)):
            return "ref"
        for claim, wanted in self.claims.items():
            if claim not in claims or str(claims[claim]) != wanted:
                return claim
        return None


class _Jwks(msgspec.Struct):
    keys: list[dict[str, Any]]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    trust: list[Trust]


def _literal(pattern: str) -> str:
    """Leave `*` as the only sign that stands for others."""
    return pattern.replace("[", "[[]").replace("?", "[?]")


def read_trusts(path: Path) -> tuple[Trust, ...]:
    """Read the file of what is trusted.

    Raises:
        ConfigError: It is not there, cannot be read, or trusts what nobody should.
    """
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=_File).trust
    except OSError as error:
        raise _wrong(path, str(error.strerror)) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _wrong(path, str(error)) from error
    for number, one in enumerate(found, 1):
        if problem := _problem(one):
            raise _wrong(path, f"entry {number}: {problem}")
    if not found:
        raise _wrong(path, "there is no entry [[trust]]")
    return tuple(found)


def _problem(one: Trust) -> str | None:
    for name, address in (("issuer", one.issuer), ("jwks", one.keys_at)):
        if not _is_safe(address):
            return f"{name}: an address with https:// was expected"
    if not _TRUSTED.fullmatch(one.repository):
        return "repository: owner/name or owner/* was expected"
    if not one.audience or not one.project or not one.ref:
        return "audience, project and ref must not be empty"
    if not one.scopes or set(one.scopes) - _SCOPES:
        return "scopes: ingest or read was expected"
    return None


def _is_safe(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _NEAR))


def _wrong(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"The file {path} of --oidc cannot be used: {why}.",
        slug="oidc-config",
        hint="Write it as docs/how-to/service.md shows.",
    )


class _Stay(urllib.request.HTTPRedirectHandler):
    """Goes where it was sent, and nowhere else."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> None:
        """Follow no redirection."""


def fetch(address: str) -> bytes:
    """Get what is at an address.

    Raises:
        OSError: It cannot be had.
    """
    opener = urllib.request.build_opener(_Stay)
    with opener.open(address, timeout=_TIMEOUT_S) as response:
        body: bytes = response.read(_MOST_BYTES + 1)
    if len(body) > _MOST_BYTES:
        raise OSError("too large")
    return body


class _Held(NamedTuple):
    keys: Mapping[str, jwt.PyJWK]
    at: float


class Keys:
    """The keys at one address, as they were a while ago.

    Args:
        address: Where they are.
        get: Gets what is at an address; raises OSError.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        address: str,
        get: Callable[[str], bytes] = fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address, self._get, self._clock = address, get, clock
        self._held: _Held | None = None
        self._asked: float | None = None
        self._lock = threading.Lock()

    def find(self, kid: str) -> jwt.PyJWK | None:
        """Return a key by its id; None where the issuer has none of it.

        Raises:
            Error: The keys cannot be had, and none are held that are fresh enough.
        """
        found = self._fresh(kid)
        if found is not None:
            return found
        with self._lock:
            found = self._fresh(kid)  # another may have asked meanwhile
            now = self._clock()
            if found is None and (self._asked is None or now - self._asked >= FETCH_EVERY_S):
                self._asked = now
                self._ask(now)
            held = self._held
        if held is None or self._clock() - held.at > _STALE_S:
            raise Error(
                "The keys of the token's issuer cannot be had.",
                slug="oidc-keys",
                hint="Wait as long as Retry-After says; the log of the service says why.",
            )
        return held.keys.get(kid)

    def _fresh(self, kid: str) -> jwt.PyJWK | None:
        held = self._held
        is_fresh = held is not None and self._clock() - held.at < _FRESH_S
        return held.keys.get(kid) if held is not None and is_fresh else None

    def _ask(self, now: float) -> None:
        try:
            self._held = _Held(_read_keys(self._get(self._address)), now)
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            _log.error("oidc keys", extra={"error": type(error).__name__})


def _read_keys(body: bytes) -> dict[str, jwt.PyJWK]:
    """Read those keys of a JWKS that RS256 can be checked with."""
    found: dict[str, jwt.PyJWK] = {}
    for one in msgspec.json.decode(body, type=_Jwks).keys:
        kid = one.get("kid")
        if (
            one.get("kty") != "RSA"
            or one.get("use", "sig") != "sig"
            or one.get("alg", "RS256") != "RS256"
            or not isinstance(kid, str)
        ):
            continue
        try:
            key = jwt.PyJWK(one, algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        if key.key.key_size >= _LEAST_BITS:
            found[kid] = key
    return found


class Oidc:
    """Looks at tokens of CI providers.

    Args:
        trusts: What is trusted.
        get: Gets what is at an address; raises OSError.
    """

    def __init__(self, trusts: tuple[Trust, ...], get: Callable[[str], bytes] = fetch) -> None:
        self._trusts = trusts
        self._keys = {one.keys_at: Keys(one.keys_at, get) for one in trusts}

    def caller(self, secret: str) -> Caller:
        """Return who shows a token. May wait for the issuer's keys, a few seconds.

        Raises:
            Error: It is not accepted, or the keys cannot be had.
        """
        try:
            return self._caller(secret)
        except (jwt.PyJWTError, RecursionError) as error:  # its JSON may nest without end
            why = type(error).__name__
            raise self._refused(why) from error

    def _caller(self, secret: str) -> Caller:
        if len(secret) > _LONGEST:
            raise jwt.InvalidTokenError
        # What stands in it is believed only to choose the key that it is then checked with.
        said = jwt.decode_complete(secret, options={"verify_signature": False})
        kid = said["header"].get("kid")
        if said["header"].get("alg") != "RS256" or not isinstance(kid, str):
            raise jwt.InvalidAlgorithmError
        missed = "iss"
        for trust in self._trusts:
            if trust.issuer != said["payload"].get("iss"):
                continue
            key = self._keys[trust.keys_at].find(kid)
            if key is None:
                missed = "kid"
                continue
            try:
                claims = _checked(secret, key, trust)
            except jwt.InvalidAudienceError:
                missed = "aud"
                continue
            found = trust.misses(claims)
            if found is None:
                repository = claims["repository"]
                project = trust.project.replace("{repository}", repository)
                return Caller(f"oidc:{repository}", project, frozenset(trust.scopes))
            missed = found
        raise self._refused(missed)

    @staticmethod
    def _refused(why: str) -> Error:
        _log.warning("oidc refused", extra={"error": why})
        return Error(
            "This token of a CI job is not accepted here.",
            slug="oidc-refused",
            hint="It must be of a repository, ref and audience that the service trusts, and "
            "younger than a few minutes; the log of the service says what was missing.",
        )


def _checked(secret: str, key: jwt.PyJWK, trust: Trust) -> dict[str, Any]:
    return jwt.decode(
        secret,
        key,
        algorithms=["RS256"],
        audience=trust.audience,
        issuer=trust.issuer,
        leeway=LEEWAY_S,
        options={"require": _REQUIRED},
    )

"""The service among hostile clients: no server error, no data of others, and it goes on."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.command import command
from tests.hostile import bombs, judged, made_up, run, shapes, talk
from tests.serving import Serving, serving

pytestmark = pytest.mark.chaos

SECRET = "secret-of-theirs-5d41402abc4b2a76"
MADE_UP = int(os.environ.get("TESTLYTICS_HOSTILE", "400"))
"""How many requests are made up."""


class Besieged(NamedTuple):
    service: Serving
    token: str


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    """A service with a project that nobody here may see, and a token for another."""
    store = tmp_path_factory.mktemp("hostile") / "h.duckdb"
    tokens = {}
    for project in ("mine", "theirs"):
        options = ("--project", project, "--scope", "ingest", "--scope", "read")
        made = command(
            *("serve", "token", "create", project, *options, "--store", store), cwd=store.parent
        )
        tokens[project] = made.out.strip()
    with serving(store, "--rate", 10**6, "--burst", 10**6, "--max-body", 2) as service:
        secret = run(1, SECRET, run_id=SECRET, variant={"os": SECRET}, ci=SECRET)
        assert service.upload(secret, token=tokens["theirs"]).status == 201
        assert service.upload(run(1), token=tokens["mine"]).status == 201
        yield Besieged(service, tokens["mine"])
        # After all of it, in whatever order: nothing was lost and nothing broke.
        assert service.ask("/healthz").status == 200
        assert service.ask("/readyz").status == 200
        assert SECRET.encode() in service.ask("/api/v1/runs", token=tokens["theirs"]).body
        assert [line for line in service.log() if line["event"] == "internal"] == []
        assert service.end() == 0


SECRETS = (SECRET.encode(), b"/h.duckdb", b'tokens"')


@pytest.mark.parametrize("name", list(shapes("x")))
def test_what_is_nearly_http_breaks_nothing(besieged: Besieged, name: str) -> None:
    got = talk(besieged.service.port, shapes(besieged.token)[name])
    assert judged(got, SECRETS).problem is None, got[:2_000]
    assert besieged.service.ask("/healthz").status == 200


@pytest.mark.parametrize(
    "body",
    [
        run(2).replace(b"other", b"\xff\xfe"),
        run(2).replace(b'"1.0"', b'"\\u00b2.0"'),
        run(2).replace(b'"1.0"', b'"%s.0"' % (b"9" * 5_000)),
    ],
)
def test_a_damaged_run_file_is_refused_by_name(besieged: Besieged, body: bytes) -> None:
    answer = besieged.service.upload(body, token=besieged.token)
    assert (answer.status, answer.slug) == (422, "run-file-line")


@pytest.mark.parametrize("name", list(bombs()))
def test_what_grows_is_refused_before_it_has_grown(besieged: Besieged, name: str) -> None:
    peak = peak_mib(besieged.service)
    answer = besieged.service.upload(bombs()[name], token=besieged.token)
    assert answer.status in {413, 422}, answer.body
    assert peak_mib(besieged.service) - peak < 200


def peak_mib(service: Serving) -> float:
    text = Path(f"/proc/{service.process.pid}/status").read_text()
    [line] = [line for line in text.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def test_one_request_does_not_carry_another(besieged: Besieged) -> None:
    """What stands behind a body that ends early is answered as itself, or not at all."""
    for name in ("length and chunked", "chunked and length", "two lengths"):
        statuses = judged(talk(besieged.service.port, shapes(besieged.token)[name]), ()).statuses
        assert statuses[:1] == [400] or 200 not in statuses, (name, statuses)


def test_requests_that_are_made_up_break_nothing(besieged: Besieged) -> None:
    dice = random.Random(MADE_UP)
    bodies = [run(2), run(3, "main"), b"<testsuite><testcase name='other'/></testsuite>"]
    tokens = [besieged.token] * 8 + [None, "tly_wrong", "a.b.c"]
    statuses: Counter[int] = Counter()
    for number in range(MADE_UP):
        sent = made_up(dice, tokens, bodies)
        reply = judged(talk(besieged.service.port, sent), SECRETS)
        assert reply.problem is None, (number, sent[:3_000])
        statuses.update(reply.statuses)
    # They get as far as it goes: some are taken, some questions answered, others refused.
    assert {200, 201, 400, 401, 403, 404, 422} <= set(statuses), statuses


@pytest.mark.parametrize(
    "got",
    [
        b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxHTTP/1.1 502 No\r\nx: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + SECRET.encode(),
        b"HTTP/1.1 400 No\r\n\r\nTraceback (most recent call last):",
        b"<html>",
    ],
)
def test_what_must_not_come_back_would_be_seen(got: bytes) -> None:
    assert judged(got, SECRETS).problem is not None
    assert judged(b"HTTP/1.1 503 Busy\r\nx: y\r\n\r\n", SECRETS) == ([503], None)

"""Requests that nobody sends in good faith, and what may never come back."""

from __future__ import annotations

import gzip
import json
import random
import re
import socket
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple
from urllib.parse import quote

from tests.factories import attempt, end, header, lines

NASTY = (
    *("'; drop table raw.runs; --", "' or '1'='1", '"; select * from raw.uploads --', "\\'); --"),
    *("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{7*7}}", "${7*7}", "%s%n%x"),
    *("../../etc/passwd", "..\\..\\x", "/etc/passwd", "file:///etc/passwd", "a\0b", "\r\nX-Y: z"),
    *("\u202eevil", "\ud83d\ude00"[:0] + "\N{PILE OF POO}", "\u0000", "\x1b[31m", "e\u0301" * 40),
    *("NaN", "-1", "0", "1e309", "9" * 400, "true", "null", "[]", "{}", "*" * 200, "?" * 200),
    *("%", "_", "[", "[a-", "(" * 60, "a" * 5_000, ",=,=", "=" * 50, "read_csv('/etc/passwd')"),
)
"""Texts that something somewhere takes for more than a text."""

PARAMETERS = (
    *("project", "branch", "variant", "since", "last", "limit", "sort", "pattern", "run", "test"),
    *("kind", "base", "run_id", "run_attempt", "shard", "commit", "commit_time", "parent", "name"),
    *("pull_request", "nonsense"),
)
PATHS = (
    *("runs", "tests", "failures", "verdicts", "explain", "flaky", "broken", "regressions"),
    *("slowest", "gate", "badge.svg", "openapi.json"),
)
ODD_PATHS = (
    *("/../../../etc/passwd", "/api/v1/../v1/runs", "//api/v1/runs", "/api/v1/runs/..%2f", "*"),
    *("/api/v1/%2e%2e/runs", "/api/v1/runs%00", "/api//v1/runs", "/API/V1/RUNS", "/%", "/%zz"),
    *("http://elsewhere.example/api/v1/runs", "/api/v1/runs;x=1", "/api/v1/runs#x", "/\xff", "/?"),
    *("/api/v1/runs/history.duckdb", "/h.duckdb.tokens", "/static/../h.duckdb", "/metrics/../runs"),
)
METHODS = (
    "GET",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "get",
    "X",
)


def head(method: str, path: str, token: str | None, *more: str) -> bytes:
    rows = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *more]
    if token is not None:
        rows.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*rows, "", ""]).encode("latin-1", "replace")


def post(token: str | None, body: bytes, *more: str, query: str = "") -> bytes:
    length = f"Content-Length: {len(body)}"
    return head("POST", f"/api/v1/runs{query}", token, length, "Connection: close", *more) + body


def run(number: int = 1, text: str = "x", **more: object) -> bytes:
    rows = [
        attempt(f"a.py::{text}", "failed", failure={"message": text, "text": text, "type": text}),
        attempt("a.py::other", worker=text),
    ]
    said: dict[str, object] = {"branch": text, "commit": text, "dirty": False}
    return lines(header(number, sources=said, **more), *rows, end(2))


@cache
def bombs() -> dict[str, bytes]:
    """Return small bodies that grow."""
    zeros = b"<testsuite>" + b" " * (80 << 20)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return {
        "gzip": gzip.compress(zeros, mtime=0),
        "gzip in gzip": gzip.compress(gzip.compress(zeros, mtime=0), mtime=0),
        "gzip of an archive": gzip.compress(b"PAR1" + b"\0" * (80 << 20), mtime=0),
        "deflate": deflate.compress(zeros) + deflate.flush(),
        "xml": b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
        b"<testsuite>&b;</testsuite>",
        "xml outside": b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuite>&a;'
        b"</testsuite>",
        "deep json": b"[" * 200_000,
        "deep run file": b'{"type":"run","sources":' + b'{"a":' * 50_000,
        "deep xml": b"<testsuite>" * 20_000,
        "many names": b"<testsuite " + b"".join(b'a%d="" ' % n for n in range(50_000)) + b"/>",
    }


@cache
def shapes(token: str) -> dict[str, bytes]:
    """Return whole requests that are wrong as HTTP, or nearly so."""
    return {
        **_lengths(token),
        **_chunks(token),
        **_heads(token),
        **_bodies(token),
        **{f"bomb of {name}": post(token, one) for name, one in bombs().items()},
        **{f"path {path!a}": head("GET", path, token, "Connection: close") for path in ODD_PATHS},
        **{
            f"method {one}": head(one, "/api/v1/runs", token, "Connection: close")
            for one in METHODS
        },
    }


def _lengths(token: str) -> dict[str, bytes]:
    body = run(7)
    size, chunked = f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"
    smuggled = head("GET", "/api/v1/runs?project=theirs", token)
    return {
        "two lengths": head("POST", "/api/v1/runs", token, size, "Content-Length: 1") + body,
        "length and chunked": head("POST", "/api/v1/runs", token, "Content-Length: 5", chunked)
        + b"0\r\n\r\n"
        + smuggled,
        "chunked and length": head("POST", "/api/v1/runs", token, chunked, "Content-Length: 5")
        + b"0\r\n\r\n"
        + smuggled,
        "chunked twice": head(
            "POST", "/api/v1/runs", token, chunked, "Transfer-Encoding: identity"
        ),
        "odd chunked": head("POST", "/api/v1/runs", token, "Transfer-Encoding: xchunked") + body,
        "chunked with a tab": head("POST", "/api/v1/runs", token, "Transfer-Encoding:\tchunked, x"),
        "space before the colon": head(
            "POST", "/api/v1/runs", token, f"{chunked} ", "Content-Length : 3"
        ),
        "negative length": head("POST", "/api/v1/runs", token, "Content-Length: -1") + body,
        "length with a sign": head("POST", "/api/v1/runs", token, f"Content-Length: +{len(body)}"),
        "length that is huge": head("POST", "/api/v1/runs", token, "Content-Length: " + "9" * 500),
        "length in hex": head("POST", "/api/v1/runs", token, "Content-Length: 0x10") + body,
        "length in other digits": head("POST", "/api/v1/runs", token, "Content-Length: \xb2")
        + body,
    }


def _chunks(token: str) -> dict[str, bytes]:
    chunked = "Transfer-Encoding: chunked"
    return {
        "chunk that is huge": head("POST", "/api/v1/runs", token, chunked)
        + b"fffffffffffffff1\r\nx",
        "chunk that is negative": head("POST", "/api/v1/runs", token, chunked) + b"-1\r\nx\r\n",
        "chunk that is none": head("POST", "/api/v1/runs", token, chunked) + b"zz\r\nx\r\n",
        "chunk with much beside": head("POST", "/api/v1/runs", token, chunked)
        + b"1;"
        + b"x" * 100_000,
        "chunk without its end": head("POST", "/api/v1/runs", token, chunked)
        + b"1\r\nxyz\r\n0\r\n\r\n",
        "trailers": head("POST", "/api/v1/runs", token, chunked)
        + b"1\r\nx\r\n0\r\nContent-Length: 9\r\nX: y\r\n\r\n",
    }


def _heads(token: str) -> dict[str, bytes]:
    body = run(7)
    size = f"Content-Length: {len(body)}"
    return {
        "folded header": head("GET", "/api/v1/runs", token, "X: a\r\n b: c"),
        "nul in a header": head("GET", "/api/v1/runs", token, "X: a\0b"),
        "cr in a header": head("GET", "/api/v1/runs", token, "X: a\rb: c"),
        "lf in a header": head("GET", "/api/v1/runs", token, "X: a\nContent-Length: 3"),
        "no name": head("GET", "/api/v1/runs", token, ": x"),
        "no colon": head("GET", "/api/v1/runs", token, "nonsense"),
        "huge header": head("GET", "/api/v1/runs", token, "X: " + "y" * 100_000),
        "many headers": head("GET", "/api/v1/runs", token, *(f"X{n}: y" for n in range(5_000))),
        "two hosts": head("GET", "/api/v1/runs", token, "Host: elsewhere.example"),
        "no host": b"GET /api/v1/runs HTTP/1.1\r\n\r\n",
        "two tokens": head("GET", "/api/v1/runs", token, "Authorization: Bearer other"),
        "token of bytes": head("GET", "/api/v1/runs", "\xff\xfe\0"),
        "token that is huge": head("GET", "/api/v1/runs", "x" * 20_000),
        "old": b"GET /api/v1/runs HTTP/0.9\r\n\r\n",
        "older": b"GET /api/v1/runs\r\n",
        "newer": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "tls": bytes.fromhex("16030100c8010000c40303") + b"\0" * 200,
        "upgrade": head("GET", "/api/v1/runs", token, "Upgrade: websocket", "Connection: Upgrade"),
        "continue": head("POST", "/api/v1/runs", token, size, "Expect: 100-continue"),
        "other expectation": head("POST", "/api/v1/runs", token, size, "Expect: x") + body,
        "long line": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        "blank lines": b"\r\n" * 1_000,
        "nothing": b"",
        "body of a question": head("GET", "/api/v1/runs", token, "Content-Length: 3") + b"xyz",
        "several at once": head("GET", "/healthz", token) * 30,
    }


def _bodies(token: str) -> dict[str, bytes]:
    body = run(7)
    return {
        "cut body": head("POST", "/api/v1/runs", token, "Content-Length: 1000") + b"{",
        "encodings": post(token, body, "Content-Encoding: gzip, gzip"),
        "two encodings": post(token, body, "Content-Encoding: gzip", "Content-Encoding: identity"),
        "odd encoding": post(token, body, "Content-Encoding: \0"),
        "zstd": post(token, b"\x28\xb5\x2f\xfd" + body, "Content-Encoding: zstd"),
        "bzip2": post(token, b"BZh9" + body),
        "zip": post(token, b"PK\x03\x04" + body),
        "utf-16": post(token, "<testsuite/>".encode("utf-16")),
        "odd version": post(token, body.replace(b'"1.0"', b'"\\u00b2.0"')),
        "huge version": post(token, body.replace(b'"1.0"', b'"%s.0"' % (b"9" * 5_000))),
        "no utf-8": post(token, body.replace(b"other", b"\xff\xfe")),
        "surrogates": post(token, body.replace(b"other", b"\\ud800")),
        "nul": post(token, body.replace(b"other", b"a\\u0000b")),
    }


def made_up(dice: random.Random, tokens: Sequence[str | None], bodies: Sequence[bytes]) -> bytes:
    """Make a request up: whole as HTTP for the most part, hostile in what it says."""
    token = dice.choice(tokens)
    query = "&".join(
        f"{dice.choice(PARAMETERS)}={_said(dice)}" for _ in range(dice.choice([0, 1, 1, 2, 3]))
    )
    more = ["Connection: close"]
    if dice.random() < 0.2:
        more.append(
            f"X-Y: {dice.choice(NASTY)}".replace("\r", "").replace("\n", "").replace("\0", "")
        )
    if dice.random() < 0.5:
        path = dice.choice(ODD_PATHS) if dice.random() < 0.1 else f"/api/v1/{dice.choice(PATHS)}"
        method = "GET" if dice.random() < 0.9 else dice.choice(METHODS)
        return head(method, f"{path}?{query}", token, *more)
    body = _changed(dice, dice.choice(bodies))
    if dice.random() < 0.3:
        body = gzip.compress(body)
        body = body[: dice.randrange(len(body))] if dice.random() < 0.3 else body
        more += ["Content-Encoding: gzip"] * (dice.random() < 0.7)
    length = len(body) if dice.random() < 0.95 else dice.randrange(len(body) + 1)
    more.append(f"Content-Length: {length}")
    return head("POST", f"/api/v1/runs?{query}", token, *more) + body


def _said(dice: random.Random) -> str:
    text = dice.choice([*NASTY, "theirs", "mine", "run-1", "10", "median", "os=linux"])
    return quote(text, safe="") if dice.random() < 0.9 else quote(text, safe="'\"<>;:/?#%=")


def _changed(dice: random.Random, body: bytes) -> bytes:
    """Change a body: some bytes, its end, or a text in it for a nasty one."""
    how, found = dice.random(), bytearray(body)
    if how < 0.3:
        for _ in range(dice.choice([1, 2, 10])):
            found[dice.randrange(len(found))] = dice.randrange(256)
    elif how < 0.5:
        del found[dice.randrange(len(found)) :]
    elif how < 0.8:
        nasty = json.dumps(dice.choice(NASTY))[1:-1].encode()
        return re.sub(rb"other|linux|main|test_one", lambda _: nasty, body)
    elif how < 0.9:
        at = dice.randrange(len(found))
        found[at:at] = found[dice.randrange(len(found)) :] * dice.choice([1, 5])
    return bytes(found)


def talk(port: int, sent: bytes) -> bytes:
    """Send bytes and return what comes back until it closes, or waits for more."""
    seconds = 60.0 if b"Connection: close" in sent else 1.0
    with socket.create_connection(("127.0.0.1", port), timeout=60.0) as raw:
        got = b""
        try:
            raw.sendall(sent)
            raw.settimeout(seconds)
            while part := raw.recv(65_536):
                got += part
        except (ConnectionError, TimeoutError):
            pass  # it refused before it had read all, or wants more than there is
        return got


class Reply(NamedTuple):
    """What came back.

    Attributes:
        statuses: Of all answers in it; those inside of bodies do not count.
        problem: What should not have come; None where all is well.
    """

    statuses: list[int]
    problem: str | None


def judged(got: bytes, secrets: Sequence[bytes]) -> Reply:
    """Look at what came back."""
    statuses = list(_statuses(got))
    if got and not got.startswith(b"HTTP/1.1 "):
        return Reply(statuses, "no HTTP")
    if any(status >= 500 and status not in {503, 507} for status in statuses):
        return Reply(statuses, "a server error")
    for mark in (b"Traceback (most", b'File "/', b"Exception:", b"raw.uploads u", *secrets):
        if mark in got:
            return Reply(statuses, f"it tells {mark!r}")
    return Reply(statuses, None)


def _statuses(got: bytes) -> Iterator[int]:
    while found := re.match(rb"HTTP/1\.1 (\d{3})[^\r]*\r\n(.*?)\r\n\r\n", got, re.DOTALL):
        yield int(found[1])
        length = re.search(rb"content-length: (\d+)", found[2], re.IGNORECASE)
        got = got[found.end() + (int(length[1]) if length else 0) :]

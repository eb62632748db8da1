"""What `push` and the service say to each other, as pacts: each exchange once, for both sides."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pact import Pact, match

from tests.factories import attempt, end, header, lines

PACTS = Path(__file__).parent / "contract" / "pacts"
CONSUMER, PROVIDER = "testlytics-push", "testlytics-service"
TOKEN = "tly_known-in-pacts-and-nowhere-else"
WRONG = "tly_known-nowhere"
MOST_ATTEMPTS = 5
VARIANT = "os=linux"


def packed(data: bytes) -> bytes:
    """Return gzip that has the same bytes with every zlib: it is only stored (RFC 1951, 3.2.4)."""
    size = struct.pack("<HH", len(data), len(data) ^ 0xFFFF)
    tail = struct.pack("<II", zlib.crc32(data), len(data))
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01" + size + data + tail


def run(number: int, attempts: int = 2) -> bytes:
    tests = [attempt(f"shop.py::test_{n}", "failed" if n else "passed") for n in range(attempts)]
    return lines(header(number, project="shop"), *tests, end(attempts))


@dataclass(frozen=True)
class Exchange:
    """One request and the answer to it.

    Attributes:
        name: What is sent.
        state: How things stand at the service.
        body: What is sent, before gzip.
        status: Of the answer.
        answer: What the client relies on in it.
        outcome: What `push` says of the file.
        token: What is shown.
        headers: What the client relies on in the answer's headers.
    """

    name: str
    state: str
    body: bytes
    status: int
    answer: dict[str, Any]
    outcome: str
    token: str = TOKEN
    headers: dict[str, Any] = field(default_factory=dict)

    def pact(self) -> Pact:
        """Return the pact with this exchange alone."""
        one = Pact(CONSUMER, PROVIDER).with_specification("V4")
        (
            one.upon_receiving(self.name)
            .given(self.state)
            .with_request("POST", "/api/v1/runs")
            .with_query_parameters({"branch": "main", "variant": VARIANT, "name": name_of(self)})
            .with_headers(
                {
                    "Authorization": f"Bearer {self.token}",
                    "Content-Encoding": "gzip",
                    "Content-Type": "application/octet-stream",
                }
            )
            .with_binary_body(packed(self.body), "application/octet-stream")
            .will_respond_with(self.status)
            .with_headers({"Content-Type": "application/json"} | self.headers)
            .with_body(self.answer, "application/json")
        )
        return one


def name_of(exchange: Exchange) -> str:
    return exchange.name.replace(" ", "-") + ".jsonl.gz"


def refusal(slug: str) -> dict[str, Any]:
    return {
        "schema": 1,
        "error": {"slug": slug, "message": match.str("What happened."), "hint": match.str("Do.")},
    }


def stored(status: str, counts: object) -> dict[str, Any]:
    return {
        "schema": 1,
        "status": status,
        "format": "run-file",
        "run_id": match.str("run-1"),
        "counts": counts,
        "problems": [],
    }


COUNTS = {"testcases": 2, "passed": 1, "failed": 1, "tests": 2, "attempts": 2}
RETRY = {"Retry-After": match.regex("2", regex=r"^[0-9]+$")}
EXCHANGES: Sequence[Exchange] = (
    Exchange(
        name="an upload",
        state="nothing is stored",
        body=run(1),
        status=201,
        answer=stored("stored", COUNTS),
        outcome="stored",
    ),
    Exchange(
        name="an upload once more",
        state="the upload is stored",
        body=run(1),
        status=200,
        answer=stored("already stored", None),
        outcome="already stored",
    ),
    Exchange(
        name="an upload with a token nobody knows",
        state="nothing is stored",
        body=run(1),
        status=401,
        answer=refusal("token-wrong"),
        outcome="refused",
        token=WRONG,
    ),
    Exchange(
        name="an upload of too much",
        state=f"uploads have at most {MOST_ATTEMPTS} attempts",
        body=run(1, MOST_ATTEMPTS + 1),
        status=413,
        answer=refusal("too-many-attempts"),
        outcome="refused",
    ),
    Exchange(
        name="an upload that is cut off",
        state="nothing is stored",
        body=b"<testsuite><testcase",
        status=422,
        answer=refusal("junit-xml"),
        outcome="refused",
    ),
    Exchange(
        name="an upload at a bad time",
        state="the service has as much to do as it takes",
        body=run(1),
        status=503,
        answer=refusal("http-busy"),
        outcome="spooled",
        headers=RETRY,
    ),
)


def written(pact: Pact, folder: Path) -> dict[str, Any]:
    """Return the pact file that a pact makes, without the versions of who wrote it."""
    folder.mkdir(exist_ok=True)
    pact.write_file(folder, overwrite=True)
    [path] = folder.iterdir()
    document: dict[str, Any] = json.loads(path.read_text())
    document["metadata"] = {"pactSpecification": document["metadata"]["pactSpecification"]}
    return document


def together(documents: Sequence[dict[str, Any]]) -> str:
    """Return one pact file with the exchanges of several, in their order."""
    one = dict(documents[0])
    one["interactions"] = [row for document in documents for row in document["interactions"]]
    return json.dumps(one, indent=2, sort_keys=True) + "\n"

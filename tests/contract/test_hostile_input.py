"""Files made to hurt: each is refused or read, in little memory, and nothing else happens."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MIB = 1 << 20
# Prints the answers, and the process's own peak of memory.
INGEST = """
import json, pathlib, sys
from testlytics import api
(result,) = api.ingest([sys.argv[1]], pathlib.Path(sys.argv[2]))
status = pathlib.Path("/proc/self/status")
peak = int(status.read_text().partition("VmHWM:")[2].split()[0]) if status.exists() else 0
print(json.dumps({
    "status": result.status, "text": " ".join(p.text for p in result.problems), "peak_kib": peak,
    "testcases": result.counts.testcases if result.counts else None,
}))
"""


def laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE x [<!ENTITY l0 "ha">{entities}]><testsuite name="&l9;"/>'.encode()


def quadratic() -> bytes:
    return (
        f'<!DOCTYPE x [<!ENTITY a "{"a" * 100_000}">]>'
        f'<testsuite><testcase name="x"><failure>{"&a;" * 10_000}</failure></testcase></testsuite>'
    ).encode()


def outside() -> bytes:
    return (
        b'<!DOCTYPE x [<!ENTITY file SYSTEM "file:///etc/passwd">]>'
        b'<testsuite><testcase name="x"><failure>&file;</failure></testcase></testsuite>'
    )


def parameter_entity() -> bytes:
    return b'<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd"> %p;]><testsuite/>'


def long_attribute() -> bytes:
    return b'<testsuite><testcase name="' + b"a" * (40 * MIB) + b'"/></testsuite>'


def long_text() -> bytes:
    inside = b"x" * (40 * MIB)
    return (
        b'<testsuite><testcase name="a"><failure>' + inside + b"</failure></testcase></testsuite>"
    )


def deep() -> bytes:
    return b"<testsuite>" * 100_000 + b"</testsuite>" * 100_000


def many_attributes() -> bytes:
    names = b" ".join(b'a%d="1"' % n for n in range(400_000))
    return b"<testsuite><testcase " + names + b"/></testsuite>"


def many_names() -> bytes:
    return b"<testsuite>" + b"".join(b"<n%d/>" % n for n in range(200_000)) + b"</testsuite>"


def bomb() -> bytes:
    """Two GiB of spaces, made quickly: the same compressed block again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = packer.compress(b"<testsuite>") + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b" " * MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * 2_048


def long_line() -> bytes:
    return b'{"type":"run","schema_version":"1.0","upload_id":"' + b"a" * (80 * MIB)


def deep_json() -> bytes:
    return b'{"type":"run","a":' + b"[" * 5_000_000


def many_problems() -> bytes:
    odd = b'<testcase name="a" time="when it was done"/>' * 100_000
    return b"<testsuite>" + odd + b"</testsuite>"


def ingested(path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", INGEST, str(path), str(path.with_name("h.duckdb"))],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (laughs, "entity"),
        (quadratic, "entity"),
        (outside, "entity"),
        (parameter_entity, "entity"),
        (long_attribute, "longer than"),
        (deep, "deeper than"),
        (many_attributes, "attributes"),
        (many_names, "names"),
        (bomb, "100 times its size"),
        (long_line, "Not a JSON object"),
        (deep_json, "Not a JSON object"),
    ],
)
def test_refused_with_a_reason_and_little_memory(tmp_path: Path, make: Any, words: str) -> None:  # noqa: ANN401
    path = tmp_path / "file.xml"
    path.write_bytes(make())
    answer = ingested(path)
    assert answer["status"] == "refused"
    assert words in answer["text"]
    assert "root:" not in answer["text"]
    assert answer["peak_kib"] < 300 * 1024


@pytest.mark.parametrize(("make", "testcases"), [(long_text, 1), (many_problems, 100_000)])
def test_read_in_little_memory(tmp_path: Path, make: Any, testcases: int) -> None:  # noqa: ANN401
    path = tmp_path / "file.xml"
    path.write_bytes(make())
    answer = ingested(path)
    assert (answer["status"], answer["testcases"]) == ("stored", testcases)
    assert answer["peak_kib"] < 300 * 1024
    assert len(answer["text"]) < 20_000


def prefixes(document: bytes) -> Iterator[bytes]:
    for length in range(0, len(document), 37):
        yield document[:length]


@pytest.mark.parametrize("packed", [False, True])
def test_a_cut_file_is_never_stored(tmp_path: Path, packed: bool) -> None:
    from testlytics import api

    cases = b"".join(b'<testcase classname="a" name="n%d" time="1"/>\n' % n for n in range(50))
    document = b'<?xml version="1.0"?>\n<testsuite name="s">' + cases + b"</testsuite>"
    whole = gzip.compress(document) if packed else document
    paths = []
    for number, part in enumerate(prefixes(whole)):
        path = tmp_path / f"{number}.xml"
        path.write_bytes(part)
        paths.append(str(path))
    results = api.ingest(paths, tmp_path / "h.duckdb")
    assert {result.status.value for result in results} == {"refused"}
    assert all(result.problems for result in results)

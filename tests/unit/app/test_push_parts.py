"""The parts of `push` that decide: addresses, pauses, the circuit, and what an answer means."""

from __future__ import annotations

import json
from email.utils import formatdate
from pathlib import Path

import pytest

from testlytics.push import waits
from testlytics.push.address import Service, read_token, service
from testlytics.push.circuit import FAILURES, LONGEST_S, PAUSE_S, PROBE_S, Circuit, Way
from testlytics.push.reading import Later, Refused, Taken, understand
from testlytics.push.sending import Answer
from testlytics_collector.errors import ConfigError
from testlytics_collector.ingest import Status

NOW = 1_800_000_000.0
HERE = Service("http", "127.0.0.1", 8321, "", "tly_secret")


@pytest.mark.parametrize(
    ("url", "netloc", "port", "path"),
    [
        ("https://t.example.com", "t.example.com", 443, ""),
        ("HTTPS://T.Example.com/", "t.example.com", 443, ""),
        ("https://t.example.com:8443/ci/results/", "t.example.com:8443", 8443, "/ci/results"),
        ("http://127.0.0.1:80", "127.0.0.1", 80, ""),
        ("http://[::1]:8321", "[::1]:8321", 8321, ""),
    ],
)
def test_an_address_is_taken_apart(url: str, netloc: str, port: int, path: str) -> None:
    found = service(url, None)
    assert (found.netloc, found.port, found.path) == (netloc, port, path)


@pytest.mark.parametrize(
    "url",
    [
        *("", "t.example.com", "ftp://t.example.com", "file:///etc/passwd", "https://"),
        *("https://user:hunter2@t.example.com", "https://user@t.example.com", "https://@t"),
        *("https://t.example.com?token=hunter2", "https://t.example.com#hunter2"),
        *("https://t.example.com:0", "https://t.example.com:99999", "https://t.example.com:x"),
        *("https://t.exa mple.com", "https://t.example.com/a b", "https://t/%0d%0aX:1"),
        *("https://t\r\nhunter2", "https://[::1", "https://exämple.com"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        service(url, None)
    assert caught.value.slug == "push-url"
    assert "hunter2" not in str(caught.value)


def test_a_token_goes_over_plain_http_to_this_machine_only() -> None:
    for near in ("http://localhost:1", "http://127.0.0.1", "http://[::1]"):
        assert service(near, "tly_x").token == "tly_x"
    with pytest.raises(ConfigError) as caught:
        service("http://t.example.com", "tly_x")
    assert caught.value.slug == "push-plain-http"
    assert service("http://t.example.com", None).token is None
    assert service("http://t.example.com", "tly_x", plain_http=True).token == "tly_x"


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX: y", "ä", "x" * 16_385])
def test_a_token_that_no_header_can_hold_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(ConfigError) as caught:
        service("https://t.example.com", token)
    assert caught.value.slug == "push-token"
    assert token == "" or token not in str(caught.value)


def test_a_service_shows_its_token_in_no_text() -> None:
    assert "tly_secret" not in f"{HERE!r} {HERE} {HERE.folder} {HERE.netloc}"


def test_every_service_has_an_outbox_of_its_own() -> None:
    urls = ["https://a/", "http://a/", "https://a:444", "https://a/x", "https://b", "https://a_"]
    folders = {service(url, None).folder for url in urls}
    assert len(folders) == len(urls)
    assert service("https://a", "tly_x").folder == service("https://A:443/", None).folder
    assert all("/" not in one and not one.startswith(".") for one in folders)


@pytest.mark.parametrize(
    ("content", "slug"), [(b"", "empty"), (b" \n", "empty"), (b"\xff", "ASCII")]
)
def test_a_token_file_without_a_token_is_said(tmp_path: Path, content: bytes, slug: str) -> None:
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(ConfigError, match=slug):
        read_token(tmp_path / "t")
    with pytest.raises(ConfigError, match="No such file"):
        read_token(tmp_path / "none")


def test_a_token_file_may_end_in_a_line_break(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("tly_x\n")
    assert read_token(tmp_path / "t") == "tly_x"


def test_pauses_are_drawn_from_twice_as_much_each_time() -> None:
    longest = [waits.backoff_s(tried, lambda: 1.0) for tried in range(1, 9)]
    assert longest == [1, 2, 4, 8, 16, 30, 30, 30]
    assert [waits.backoff_s(tried, lambda: 0.0) for tried in (1, 5)] == [0, 0]
    assert waits.backoff_s(3, lambda: 0.25) == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("99999999999999", waits.MOST_S),
        (formatdate(NOW + 9, usegmt=True), 9.0),
        (formatdate(NOW - 9, usegmt=True), 0.0),
        (formatdate(NOW + 1e8, usegmt=True), waits.MOST_S),
        ("Fri, 15 Jan 2027 08:00:05 -0000", 5.0),
        *[(text, None) for text in ("", "-1", "1.5", "soon", "²", "Fri, 99 Jan 2027 08:00:05 GMT")],
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert waits.retry_after_s(text, NOW) == seconds


def test_the_circuit_opens_after_failures_in_a_row_and_lets_one_through_later(
    tmp_path: Path,
) -> None:
    one, two = Circuit(tmp_path), Circuit(tmp_path)
    for _ in range(FAILURES - 1):
        one.failed(NOW)
    assert two.admit(NOW) is Way.FREE
    one.failed(NOW)
    assert two.shut_until(NOW) == NOW + PAUSE_S
    assert two.admit(NOW + PAUSE_S - 1) is Way.SHUT
    assert two.admit(NOW + PAUSE_S) is Way.PROBE
    assert one.admit(NOW + PAUSE_S) is Way.SHUT
    # The one that may ask was killed: another may, after a while.
    assert one.admit(NOW + PAUSE_S + PROBE_S) is Way.PROBE
    one.succeeded()
    assert [two.admit(NOW), one.admit(NOW)] == [Way.FREE, Way.FREE]


def test_a_success_between_failures_keeps_the_circuit_closed(tmp_path: Path) -> None:
    circuit = Circuit(tmp_path)
    for _ in range(3 * FAILURES):
        circuit.failed(NOW)
        circuit.succeeded()
    assert circuit.admit(NOW) is Way.FREE


def test_the_circuit_stays_open_twice_as_long_each_time_up_to_a_bound(tmp_path: Path) -> None:
    circuit, now, pauses = Circuit(tmp_path), NOW, []
    for _ in range(FAILURES - 1):
        circuit.failed(now)
    for _ in range(8):
        circuit.failed(now)
        pauses.append(circuit.shut_until(now) - now)
        now = circuit.shut_until(now)
        assert circuit.admit(now) is Way.PROBE
    assert pauses[:4] == [PAUSE_S, 2 * PAUSE_S, 4 * PAUSE_S, 8 * PAUSE_S]
    assert pauses[-1] == LONGEST_S


def test_what_the_service_asks_for_opens_the_circuit_that_long(tmp_path: Path) -> None:
    circuit = Circuit(tmp_path)
    circuit.failed(NOW, 1_800)
    assert circuit.shut_until(NOW) == NOW + 1_800
    assert circuit.admit(NOW + 1_799) is Way.SHUT


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", '{"failures": 9}', '{"other": 1}', '{"failures": "x", "until": 1}'),
        json.dumps({"failures": 3, "pause_s": 60, "until": NOW + 1e7}),
        json.dumps({"failures": 3, "pause_s": 1e9, "until": NOW + 1e7}),
        '{"failures": 3, "pause_s": 60, "until": NaN}',
    ],
)
def test_a_damaged_memory_or_a_clock_that_jumped_back_keeps_nobody_out(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "circuit.json").write_text(text)
    assert Circuit(tmp_path).admit(NOW) is Way.FREE


def told(status: int, body: object, retry_after: str | None = None) -> Taken | Refused | Later:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return understand(Answer(status, retry_after, data), HERE, NOW)


STORED = {
    "schema": 1,
    "status": "stored",
    "format": "junit",
    "run_id": "r",
    "counts": {"passed": 2},
}


def failed(slug: str = "x", message: str = "No.", hint: str | None = "Do so.") -> object:
    return {"schema": 1, "error": {"slug": slug, "message": message, "hint": hint}}


def test_only_the_services_own_word_counts_as_taken() -> None:
    taken = told(201, STORED | {"new key": 1, "problems": [{"text": "odd", "line": 3}]})
    assert isinstance(taken, Taken)
    assert (taken.status, taken.run_id, taken.problems[0].line) == (Status.STORED, "r", 3)
    assert taken.counts is not None
    assert taken.counts.passed == 2
    again = told(200, {"status": "already stored", "run_id": "r", "counts": None})
    assert isinstance(again, Taken)
    assert again.counts is None
    for status, body in [
        (200, b"<html>Please log in</html>"),
        (200, b""),
        (200, STORED),  # stored now is 201
        (201, {"status": "already stored"}),
        (201, {"status": "refused"}),
        (204, STORED),
        (201, {"status": 1}),
        (201, b'{"status": "stored"'),
        (201, b"[" * 100_000),
    ]:
        assert isinstance(told(status, body), Later), (status, body)


@pytest.mark.parametrize(
    ("status", "is_file", "is_all"),
    [
        *[(400, False, False), (401, False, True), (403, False, False), (404, False, False)],
        *[(413, True, False), (415, True, False), (422, True, False)],
    ],
)
def test_what_the_service_refuses_is_not_sent_again(
    status: int, is_file: bool, is_all: bool
) -> None:
    refused = told(status, failed())
    assert refused == Refused("No. Do so.", is_file, is_all, is_known=True)


@pytest.mark.parametrize(
    ("status", "is_file", "is_all"),
    [
        *[(404, False, True), (407, False, True), (403, False, True), (302, False, True)],
        (413, True, False),
    ],
)
def test_what_something_else_refuses_is_said_to_be_something_else(
    status: int, is_file: bool, is_all: bool
) -> None:
    refused = told(status, b"<html>nginx</html>")
    assert isinstance(refused, Refused)
    assert (refused.is_file, refused.is_all, refused.is_known) == (is_file, is_all, False)
    assert "127.0.0.1:8321 answered" in refused.why
    assert "nginx" not in refused.why


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 507])
def test_what_may_pass_is_sent_again(status: int) -> None:
    assert told(status, failed(), "12") == Later("No. Do so.", 12.0)
    assert isinstance(told(status, b"<html>Bad Gateway</html>"), Later)


def test_texts_of_the_service_are_bounded_and_without_the_token() -> None:
    refused = told(422, failed(message="tly_secret " + "x" * 100_000, hint="tly_secret"))
    assert isinstance(refused, Refused)
    assert len(refused.why) <= 1_000
    assert "tly_secret" not in refused.why

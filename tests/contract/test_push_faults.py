"""`push` against servers that fail in every way, over real connections of this machine."""

from __future__ import annotations

import gzip
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from testlytics.push.address import service
from testlytics.push.circuit import PAUSE_S
from testlytics.push.delivery import Push, Pushed
from testlytics.push.outbox import Outbox
from testlytics.push.waits import TRIES, World
from testlytics_collector.ingest import Stated
from tests import scripted as server
from tests.factories import attempt, run_file
from tests.scripted import Scripted, scripted

TOKEN = "tly_secret"
START = float(int(time.time()))
STORED = server.says(201, b'{"schema": 1, "status": "stored", "run_id": "r", "format": "run-file"}')
HTML = b"<html><body>Welcome to our hotel</body></html>"


def says_error(status: int, slug: str, *headers: str) -> server.Act:
    said = {"slug": slug, "message": f"It is {slug}.", "hint": None}
    return server.says(status, json.dumps({"schema": 1, "error": said}).encode(), *headers)


class Client:
    """Pushes with a clock of its own: what would be slept only moves it on."""

    def __init__(self, folder: Path, seen: Scripted, *, scheme: str = "http") -> None:
        self.folder, self.now, self.slept = folder, START, list[float]()
        self.service = service(f"{scheme}://127.0.0.1:{seen.port}", TOKEN)
        self.world = World(self.clock, self.clock, self.sleep, lambda: 1.0)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def push(self, *paths: Path, within_s: float = 60.0) -> Pushed:
        one = Push(self.service, self.folder / "outbox", within_s=within_s, world=self.world)
        return one.bring([str(path) for path in paths], Stated(run_id="r"))

    def waiting(self) -> list[Path]:
        return Outbox(self.folder / "outbox" / self.service.folder).waiting()


def statuses(pushed: Pushed) -> list[str]:
    return [result.status.value for result in pushed.files]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return run_file(tmp_path / "run.jsonl", [attempt()])


def test_a_server_that_flaps_gets_the_same_again_until_it_takes_it(
    tmp_path: Path, file: Path
) -> None:
    flaps = [says_error(503, "http-busy"), server.resets(100), server.says(200, HTML), STORED]
    with scripted(*flaps) as seen:
        client = Client(tmp_path, seen)
        pushed = client.push(file)
    assert statuses(pushed) == ["stored"]
    assert client.slept == [1, 2, 4]
    assert seen.connections == 4
    assert {one.body for one in seen.asked} == {seen.asked[0].body}
    assert gzip.decompress(seen.asked[-1].body) == file.read_bytes()
    assert (
        seen.asked[-1].line
        == "POST /api/v1/runs?run_id=r&name=" + "%2F".join(file.parts[-3:]) + " HTTP/1.1"
    )
    assert seen.asked[-1].headers["authorization"] == f"Bearer {TOKEN}"
    assert client.waiting() == []
    assert pushed.notes == []


def test_a_server_that_is_busy_is_left_alone_as_long_as_it_asks(tmp_path: Path, file: Path) -> None:
    dated = f"Retry-After: {formatdate(START + 7 + 20, usegmt=True)}"
    busy = [says_error(429, "http-rate", "Retry-After: 7"), says_error(503, "http-busy", dated)]
    with scripted(*busy, STORED) as seen:
        client = Client(tmp_path, seen)
        pushed = client.push(file)
    assert statuses(pushed) == ["stored"]
    assert client.slept == [7, 20]


def test_a_server_that_asks_for_longer_than_there_is_keeps_later_calls_away(
    tmp_path: Path, file: Path
) -> None:
    with scripted(says_error(503, "http-busy", "Retry-After: 600"), STORED) as seen:
        client = Client(tmp_path, seen)
        first = client.push(file)
        assert (statuses(first), client.slept) == (["spooled"], [])
        client.now += 599
        client.push()
        assert seen.connections == 1
        client.now += 1
        assert [result.status for result in client.push().earlier] == ["stored"]
    assert seen.connections == 2


def test_a_body_that_is_broken_off_is_sent_again(tmp_path: Path) -> None:
    large = tmp_path / "large.jsonl"
    large.write_bytes(os.urandom(4 << 20))
    with scripted(server.resets(100_000), server.resets(2 << 20), STORED) as seen:
        assert statuses(Client(tmp_path, seen).push(large)) == ["stored"]
    assert seen.connections == 3
    assert gzip.decompress(seen.asked[0].body) == large.read_bytes()


@pytest.mark.parametrize("act", [server.hangs, server.drips])
def test_a_server_that_never_ends_its_answer_is_given_up(
    tmp_path: Path, file: Path, act: server.Act
) -> None:
    with scripted(act) as seen:
        client = Client(tmp_path, seen)
        pushed = client.push(file, within_s=0.3)  # real seconds, for the one try there is
    assert statuses(pushed) == ["spooled"]
    assert seen.connections == 1
    assert "did not answer in time" in pushed.notes[0]


@pytest.mark.parametrize("status", [200, 201, 502])
def test_a_page_of_something_else_is_no_receipt(tmp_path: Path, file: Path, status: int) -> None:
    with scripted(server.says(status, HTML, media="text/html")) as seen:
        client = Client(tmp_path, seen)
        pushed = client.push(file)
    assert statuses(pushed) == ["spooled"]
    assert seen.connections == TRIES
    assert len(client.waiting()) == 1
    assert "hotel" not in "".join(pushed.notes)


def test_a_redirect_is_not_followed_and_the_token_stays(tmp_path: Path, file: Path) -> None:
    with scripted(STORED) as other:
        moved = server.says(307, b"", f"Location: {other.url}/api/v1/runs")
        with scripted(moved) as seen:
            client = Client(tmp_path, seen)
            pushed = client.push(file, file)
    assert statuses(pushed) == ["refused", "refused"]
    assert "the new address with --url" in pushed.files[0].problems[0].text
    assert pushed.is_misused
    assert (seen.connections, other.connections) == (1, 0)
    assert client.waiting() == []


@pytest.mark.parametrize(
    ("status", "is_misused"),
    [(400, True), (403, True), (404, True), (413, False), (415, False), (422, False)],
)
def test_what_is_refused_is_told_once_and_does_not_wait(
    tmp_path: Path, file: Path, status: int, is_misused: bool
) -> None:
    with scripted(says_error(status, "some-slug")) as seen:
        client = Client(tmp_path, seen)
        pushed = client.push(file)
    assert statuses(pushed) == ["refused"]
    assert [one.text for one in pushed.files[0].problems] == ["It is some-slug."]
    assert pushed.is_misused is is_misused
    assert (seen.connections, client.slept, client.waiting()) == (1, [], [])


def test_a_refusal_is_heard_though_the_body_is_not_read(tmp_path: Path) -> None:
    large = tmp_path / "large.jsonl"
    large.write_bytes(os.urandom(16 << 20))
    said = b'{"error": {"slug": "http-body-large", "message": "Too large.", "hint": null}}'
    with scripted(server.says_at_once(413, said)) as seen:
        pushed = Client(tmp_path, seen).push(large)
    assert [one.text for one in pushed.files[0].problems] == ["Too large."]
    assert seen.connections == 1
    assert len(seen.asked[0].body) < 1 << 20


def test_a_wrong_token_ends_the_call_and_costs_earlier_files_nothing(
    tmp_path: Path, file: Path
) -> None:
    other = run_file(tmp_path / "other.jsonl", [attempt()], 1)
    acts = [server.says(502, HTML)] * TRIES + [says_error(401, "token-wrong"), STORED]
    with scripted(*acts) as seen:
        client = Client(tmp_path, seen)
        client.push(file)
        pushed = client.push(other, other)
        assert statuses(pushed) == ["refused", "refused"]
        assert pushed.is_misused
        assert seen.connections == TRIES + 1
        [earlier] = client.push(other).earlier
    assert (earlier.path, earlier.status) == (str(file), "stored")


def test_an_earlier_file_that_is_refused_holds_up_no_other(tmp_path: Path, file: Path) -> None:
    other = run_file(tmp_path / "other.jsonl", [attempt()], 1)
    acts = [server.says(502, HTML)] * TRIES + [says_error(422, "unknown-format"), STORED]
    with scripted(*acts) as seen:
        client = Client(tmp_path, seen)
        client.push(file)
        pushed = client.push(other)
    assert [result.status for result in pushed.earlier] == ["refused"]
    assert statuses(pushed) == ["stored"]
    assert not pushed.is_misused
    assert client.waiting() == []
    aside = tmp_path / "outbox" / client.service.folder / "refused"
    assert sorted(path.suffix for path in aside.iterdir()) == [".push", ".txt"]


def test_while_the_circuit_is_open_nobody_connects_and_then_only_one(tmp_path: Path) -> None:
    files = [run_file(tmp_path / f"{n}.jsonl", [attempt()], n) for n in range(12)]
    with scripted(server.says(503, HTML)) as seen:
        client = Client(tmp_path, seen)
        for path in files[:2]:
            client.push(path, within_s=1)  # the pause that a second try needs is longer
        assert seen.connections == 2 + 1  # the first file was tried again first
        pushed = client.push(*files)
        assert seen.connections == 3
        assert statuses(pushed) == ["spooled"] * 12
        assert len(client.waiting()) == 12
        assert "is not asked before" in pushed.notes[1]
        client.now += PAUSE_S
        client.push()
        assert seen.connections == 4  # the one that looks, once
        client.now += PAUSE_S
        client.push()
        assert seen.connections == 4  # twice as long now


def test_what_speaks_in_the_services_place_says_nothing_of_how_that_is(tmp_path: Path) -> None:
    files = [run_file(tmp_path / f"{n}.jsonl", [attempt()], n) for n in range(4)]
    away = server.says(503, HTML)
    with scripted(away, away, server.says(404, HTML), away) as seen:
        client = Client(tmp_path, seen)
        # The first file is tried by each call: it fails twice, is refused, and fails again.
        client.push(files[0], within_s=1)
        client.push(within_s=1)
        assert client.push(files[1], within_s=1).is_misused
        client.push(within_s=1)
        before = seen.connections
        assert before == 4
        client.push(files[2], within_s=1)
        assert seen.connections == before


def test_files_come_in_their_order_once_the_server_is_well(tmp_path: Path) -> None:
    files = [run_file(tmp_path / f"{n}.jsonl", [attempt()], n) for n in range(5)]
    with scripted(server.says(503, HTML), STORED) as seen:
        client = Client(tmp_path, seen)
        client.push(files[0], within_s=1)
        client.push(*files[1:])
    assert [gzip.decompress(one.body) for one in seen.asked] == [
        path.read_bytes() for path in (files[0], *files)
    ]
    assert client.waiting() == []


def test_a_token_is_told_to_nobody_whatever_the_server_says(tmp_path: Path, file: Path) -> None:
    def echoes(peer: socket.socket) -> server.Asked:
        asked = server.read_all(peer)
        said = {"slug": "x", "message": asked.headers["authorization"], "hint": TOKEN}
        peer.sendall(server.response(422, json.dumps({"error": said}).encode()))
        return asked

    with scripted(echoes) as seen:
        pushed = Client(tmp_path, seen).push(file)
    assert statuses(pushed) == ["refused"]
    assert TOKEN not in repr(pushed)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert TOKEN.encode() not in written


CERTIFICATE = """
import datetime, ipaddress, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization as s
from cryptography.hazmat.primitives.asymmetric import ec
key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
now = datetime.datetime.now(datetime.timezone.utc)
day = datetime.timedelta(days=1)
here = [x509.IPAddress(ipaddress.ip_address(sys.argv[2]))]
made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    .serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
    .add_extension(x509.SubjectAlternativeName(here), False)
    .add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256()))
with open(sys.argv[1], "wb") as file:
    file.write(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))
    file.write(made.public_bytes(s.Encoding.PEM))
"""


@pytest.mark.parametrize(
    ("address", "is_trusted"), [("127.0.0.1", True), ("127.0.0.1", False), ("127.0.0.2", True)]
)
def test_a_certificate_is_checked_before_anything_is_said(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, address: str, is_trusted: bool
) -> None:
    pem = tmp_path / "server.pem"
    subprocess.run([sys.executable, "-c", CERTIFICATE, pem, address], check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with scripted(STORED, wrap=lambda peer: context.wrap_socket(peer, server_side=True)) as seen:
        pushed = Client(tmp_path, seen, scheme="https").push(file)
    if is_trusted and address == "127.0.0.1":
        assert statuses(pushed) == ["stored"]
    else:
        assert statuses(pushed) == ["spooled"]
        assert seen.asked == []
        assert "certificate" in pushed.notes[0] or "mismatch" in pushed.notes[0]


def test_a_proxy_of_the_environment_is_used_except_for_this_machine(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(STORED) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:pass%20word@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "inside.example")
        far = service("http://t.example.com:81/x", None)
        pushed = Push(far, tmp_path / "outbox", within_s=20).bring([str(file)], Stated())
        assert statuses(pushed) == ["stored"]
        [asked] = proxy.asked
        assert asked.line.startswith("POST http://t.example.com:81/x/api/v1/runs?name=")
        assert asked.headers["host"] == "t.example.com:81"
        assert asked.headers["proxy-authorization"] == "Basic bWU6cGFzcyB3b3Jk"
        with scripted(STORED) as near:
            assert statuses(Client(tmp_path, near).push(file)) == ["stored"]
        assert (near.connections, proxy.connections) == (1, 1)

"""The outbox: whole or not at all, one in charge, bounded."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import BinaryIO

import pytest

from testlytics.push.outbox import Bounds, Entry, Outbox, elsewhere
from testlytics_collector.errors import Error, InputError

QUERY = [("run_id", "r"), ("variant", "os=linux")]


def sent(entry: Entry) -> bytes:
    body = b"".join(entry.parts())
    assert len(body) == entry.size
    return body


def source(folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    return str(folder / name)


def names(outbox: Outbox) -> list[str]:
    found = []
    for path in outbox.waiting():
        if (entry := outbox.claim(path)) is not None:
            found.append(Path(entry.name).name)
            entry.leave()
    return found


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox")


@pytest.mark.parametrize(
    "content", [b"", b"<testsuite/>", b"\n" * 3_000_000, bytes(range(256)) * 9]
)
def test_what_is_put_in_comes_out_as_gzip(outbox: Outbox, tmp_path: Path, content: bytes) -> None:
    path = source(tmp_path, "a", content)
    outbox.put(path, QUERY).leave()
    [waiting] = outbox.waiting()
    entry = outbox.claim(waiting)
    assert entry is not None
    assert (entry.name, entry.query) == (path, QUERY)
    assert gzip.decompress(sent(entry)) == content
    assert gzip.decompress(sent(entry)) == content  # a second try
    entry.taken()
    assert outbox.waiting() == []


def test_what_is_gzip_already_is_sent_as_it_is(outbox: Outbox, tmp_path: Path) -> None:
    packed = gzip.compress(b"<testsuite/>", mtime=1)
    entry = outbox.put(source(tmp_path, "a.gz", packed), [])
    assert sent(entry) == packed
    entry.taken()


def test_one_is_in_charge_until_it_lets_go(outbox: Outbox, tmp_path: Path) -> None:
    entry = outbox.put(source(tmp_path, "a", b"x"), [])
    [waiting] = outbox.waiting()
    assert outbox.claim(waiting) is None
    entry.leave()
    held = outbox.claim(waiting)
    assert held is not None
    assert outbox.claim(waiting) is None
    held.taken()
    assert outbox.claim(waiting) is None


def test_what_another_has_brought_meanwhile_is_not_brought_again(
    outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking at an entry and taking charge of it, the other one was done."""
    outbox.put(source(tmp_path, "a", b"x"), []).leave()
    [waiting] = outbox.waiting()

    def late(file: BinaryIO) -> bool:
        waiting.unlink()
        return True

    monkeypatch.setattr("testlytics.push.outbox.take", late)
    assert outbox.claim(waiting) is None


def test_the_same_file_waits_once(outbox: Outbox, tmp_path: Path) -> None:
    path = source(tmp_path, "a", b"x")
    for _ in range(3):
        outbox.put(path, QUERY).leave()
    assert len(outbox.waiting()) == 1
    outbox.put(path, [("run_id", "other")]).leave()
    outbox.put(source(tmp_path, "b", b"y"), QUERY).leave()
    assert len(outbox.waiting()) == 3


def test_the_oldest_come_first(outbox: Outbox, tmp_path: Path) -> None:
    paths = [source(tmp_path, name, name.encode()) for name in "dacb"]
    for path in paths:
        outbox.put(path, []).leave()
    assert names(outbox) == list("dacb")


def test_an_entry_that_is_not_whole_is_put_aside_and_holds_up_no_other(
    outbox: Outbox, tmp_path: Path
) -> None:
    outbox.put(source(tmp_path, "a", b"x" * 1_000), QUERY).leave()
    [waiting] = outbox.waiting()
    whole = waiting.read_bytes()
    for damaged in (whole[1:], *(whole[:cut] for cut in range(len(whole)))):
        waiting.write_bytes(damaged)
        assert outbox.claim(waiting) is None, damaged
        assert not waiting.exists()
    assert {path.suffix for path in (outbox.folder / "refused").iterdir()} == {".push", ".txt"}
    waiting.write_bytes(whole)
    entry = outbox.claim(waiting)
    assert entry is not None
    entry.taken()


def test_a_file_that_cannot_be_read_leaves_nothing(outbox: Outbox, tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError) as caught:
            outbox.put(str(path), [])
        assert caught.value.slug == "push-file"
    assert list(outbox.folder.iterdir()) == []


def test_a_file_larger_than_the_outbox_is_refused(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox", Bounds(size=10_000))
    noise = b"".join(n.to_bytes(8, "big") for n in range(0, 10**15, 10**11 + 7))
    with pytest.raises(InputError) as caught:
        outbox.put(source(tmp_path, "a", noise), [])
    assert caught.value.slug == "push-large"
    assert list(outbox.folder.iterdir()) == []


def test_beyond_its_bounds_the_oldest_go(tmp_path: Path) -> None:
    paths = [source(tmp_path, f"f{n}", b"%d" % n) for n in range(5)]
    by_number = Outbox(tmp_path / "n", Bounds(entries=2))
    for path in paths:
        by_number.put(path, []).leave()
    moment = int(by_number.waiting()[0].name[:20]) / 1e9
    assert by_number.tidy(moment) == 3
    assert names(by_number) == ["f3", "f4"]

    size = sum(path.stat().st_size for path in by_number.waiting())
    by_size = Outbox(tmp_path / "s", Bounds(size=size))
    for path in paths:
        by_size.put(path, []).leave()
    assert by_size.tidy(moment) == 3
    assert names(by_size) == ["f3", "f4"]

    by_age = Outbox(tmp_path / "a", Bounds(age_s=100))
    for path in paths:
        by_age.put(path, []).leave()
    oldest = int(by_age.waiting()[0].name[:20]) / 1e9
    assert by_age.tidy(oldest + 99) == 0
    assert by_age.tidy(oldest + 200) == 5


def test_what_another_is_sending_stays_also_beyond_the_bounds(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox", Bounds(entries=0))
    entry = outbox.put(source(tmp_path, "a", b"x"), [])
    assert outbox.tidy(0) == 0
    assert len(outbox.waiting()) == 1
    entry.leave()
    assert outbox.tidy(0) == 1


def test_what_a_killed_push_was_writing_goes_after_a_day(outbox: Outbox) -> None:
    part = outbox.folder / ".00000000000000000001-1-00000000.part"
    part.write_bytes(b"half")
    moment = part.stat().st_mtime
    outbox.tidy(moment + 80_000)
    assert part.exists()
    outbox.tidy(moment + 90_000)
    assert not part.exists()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Error) as caught:
        Outbox(tmp_path / "file" / "outbox")
    assert caught.value.slug == "push-outbox"
    assert "--outbox" in str(caught.value)


def test_what_waits_for_others_is_counted(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        Outbox(tmp_path / "base" / name).put(source(tmp_path, name, b"x"), []).leave()
    assert elsewhere(tmp_path / "base", "b") == 2
    assert elsewhere(tmp_path / "none", "b") == 0

"""From the spool into the store: several uploads in a transaction, and an answer for each."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from testlytics_collector.records import Problem, Upload
from testlytics_collector.store import places, spool_file, stage, together, writer
from testlytics_collector.store.places import Place

if TYPE_CHECKING:
    import duckdb

_UNSOUND = (ValueError, KeyError, TypeError)
"""What an upload raises that is whole, but not what a spool holds."""


class Answer(NamedTuple):
    """What became of a spooled upload.

    Attributes:
        status: `stored`, `already stored` or `refused`.
        run_id: The run it belongs to; None where it was refused.
        problems: What a person should know of.
    """

    status: str
    run_id: str | None
    problems: tuple[Problem, ...]


_Sound = list[tuple[Path, spool_file.Upload]]


def take(
    connection: duckdb.DuckDBPyConnection, waiting: Sequence[Path], answers: dict[Path, Answer]
) -> None:
    """Take uploads in, in one transaction where they are small and none fails.

    Args:
        connection: The store, open for writing, with no transaction open.
        waiting: Their files.
        answers: Gets what became of each, as soon as it is committed, so that it holds those
            before an error. Those who wait are told as well, where they look for it.
    """
    import duckdb

    sound: _Sound = []
    for entry in waiting:
        try:
            sound.append((entry, spool_file.Upload(entry)))
        except _UNSOUND as error:
            answers[entry] = _refuse(entry, str(error))
    for group in _groups(sound):
        if len(group) > 1:
            with contextlib.suppress(duckdb.Error, *_UNSOUND):
                answers.update(_keep(connection, group))
                continue
        for one in group:
            try:
                answers.update(_keep(connection, [one]))
            except _UNSOUND as error:
                answers[one[0]] = _refuse(one[0], str(error))


def _groups(sound: _Sound) -> Iterator[_Sound]:
    """Divide uploads into those of one transaction each, by how many attempts they hold."""
    group: _Sound = []
    size = 0
    for entry, found in sound:
        attempts = found.about["attempts"]
        if group and size + attempts > stage.PORTION:
            yield group
            group, size = [], 0
        group.append((entry, found))
        size += attempts
    if group:
        yield group


def _keep(connection: duckdb.DuckDBPyConnection, sound: _Sound) -> dict[Path, Answer]:
    """Take uploads in, all or none, and answer those who wait for them."""
    import duckdb

    connection.execute("begin").fetchall()
    try:
        stored = together.take(connection, [found for _, found in sound])
        answers = {
            entry: _stored(connection, found) if at in stored else _keep_one(connection, found)
            for at, (entry, found) in enumerate(sound)
        }
        connection.execute("commit").fetchall()
    except BaseException:
        with contextlib.suppress(duckdb.Error):
            connection.execute("rollback").fetchall()
        raise
    for entry, answer in answers.items():
        _say(entry, answer)
    return answers


def _keep_one(connection: duckdb.DuckDBPyConnection, found: spool_file.Upload) -> Answer:
    about = found.about
    upload = Upload(**about["upload"])
    with writer.Intake(connection, upload.project, within=True) as intake:
        for portion in found.portions():
            intake.take(portion)
        if intake.attempts != about["attempts"]:
            raise ValueError(
                f"it holds {intake.attempts} attempts and should hold {about['attempts']}"
            )
        kept = intake.keep(
            upload,
            digest=about["digest"],
            form=about["form"],
            now_us=about["now_us"],
            content=about.get("content"),
        )
    _note_place(connection, found, upload)
    status = "stored" if kept.stored else "already stored"
    return Answer(status, upload.run_id, tuple(kept.problems))


def _stored(connection: duckdb.DuckDBPyConnection, found: spool_file.Upload) -> Answer:
    """Do what is left of an upload that was taken in with others, and return its answer."""
    upload = Upload(**found.about["upload"])
    _note_place(connection, found, upload)
    return Answer("stored", upload.run_id, ())


def _note_place(
    connection: duckdb.DuckDBPyConnection, found: spool_file.Upload, upload: Upload
) -> None:
    if found.about.get("place"):
        places.note(
            lambda sql, values=(): connection.execute(sql, list(values)).fetchall(),
            upload,
            Place(*found.about["place"]),
        )


def _refuse(entry: Path, why: str) -> Answer:
    """Put an upload aside, so that it holds up no other, and tell who waits for it."""
    aside = entry.parent / "refused"
    text = f"A spooled upload cannot be read: {why}. It is now {aside / entry.name}."
    aside.mkdir(exist_ok=True)
    (aside / f"{entry.name}.txt").write_text(f"{text}\n", encoding="utf-8")
    entry.rename(aside / entry.name)
    answer = Answer("refused", None, (Problem(text),))
    _say(entry, answer)
    return answer


def _say(entry: Path, answer: Answer) -> None:
    """Answer the writer that waits, where one does, and take the upload out of the spool."""
    waiting = entry.with_suffix(".waiting")
    with contextlib.suppress(OSError):
        if waiting.exists():
            part = entry.with_suffix(".part")
            part.write_text(json.dumps(answer._asdict()), encoding="utf-8")
            part.rename(entry.with_suffix(".answer"))
            waiting.unlink(missing_ok=True)
    entry.unlink(missing_ok=True)

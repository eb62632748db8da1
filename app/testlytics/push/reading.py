"""What an answer means: taken, refused for good, or to be sent again later."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from testlytics.push.address import Service
from testlytics.push.waits import retry_after_s
from testlytics_collector.formats.text import bounded
from testlytics_collector.ingest import Status
from testlytics_collector.records import Counts, Problem

if TYPE_CHECKING:
    from testlytics.push.sending import Answer

_AGAIN = frozenset({408, 425, 429, *range(500, 600)})
_OF_THE_FILE = frozenset({413, 415, 422})
_LONGEST = 1_000
_MOST_PROBLEMS = 100
_TAKEN = {201: {Status.STORED}, 200: {Status.ALREADY_STORED, Status.PRUNED}}


class Taken(NamedTuple):
    """The service has it.

    Attributes:
        status: What became of it there.
        format: What it was recognised as.
        run_id: The run it belongs to.
        counts: How many of what; None where it was there before.
        problems: What a person should know of.
    """

    status: Status
    format: str | None
    run_id: str | None
    counts: Counts | None
    problems: tuple[Problem, ...]


class Refused(NamedTuple):
    """To send it again would change nothing.

    Attributes:
        why: What the service said, with its hint.
        is_file: Whether it is about the file itself; else about address, token or options.
        is_all: Whether every other file would fare the same.
        is_known: Whether it is the service that spoke, not something before it.
    """

    why: str
    is_file: bool
    is_all: bool
    is_known: bool


class Later(NamedTuple):
    """To send it again may help.

    Attributes:
        why: What happened.
        asked_s: How long the service asked to wait, in seconds; 0.0 where it did not.
    """

    why: str
    asked_s: float = 0.0


class _Remark(msgspec.Struct, frozen=True):
    text: str
    line: int | None = None
    column: int | None = None


class _Uploaded(msgspec.Struct, frozen=True):
    status: str
    format: str | None = None
    run_id: str | None = None
    counts: dict[str, int] | None = None
    problems: list[_Remark] = []


class _Said(msgspec.Struct, frozen=True):
    slug: str
    message: str
    hint: str | None = None


class _Failed(msgspec.Struct, frozen=True):
    error: _Said


def understand(answer: Answer, service: Service, now: float) -> Taken | Refused | Later:
    """Say what an answer means. Texts in it are untrusted: bounded, and without the token.

    Args:
        answer: As it came.
        service: Who should have answered.
        now: Seconds since the epoch.
    """
    status = answer.status
    if 200 <= status < 300:
        return _taken(answer, service) or Later(
            f"{service.netloc} answered {status}, but not that it has the file: something else "
            "seems to answer there."
        )
    said = _said(answer.body, service)
    why = said or (
        f"{service.netloc} answered {status}, and not as testlytics does: a proxy, or another "
        "address than that of the service."
    )
    if status in _AGAIN or status < 200:
        return Later(why, retry_after_s(answer.retry_after, now) or 0.0)
    if 300 <= status < 400:
        return Refused(
            f"{service.netloc} answered {status}: it moved. No redirect is followed with a token; "
            "give the new address with --url.",
            is_file=False,
            is_all=True,
            is_known=False,
        )
    is_known = said is not None
    is_all = status == 401 or (not is_known and status not in {*_OF_THE_FILE, 400})
    return Refused(why, is_file=status in _OF_THE_FILE, is_all=is_all, is_known=is_known)


def _taken(answer: Answer, service: Service) -> Taken | None:
    try:
        told = msgspec.json.decode(answer.body, type=_Uploaded)
        status = Status(told.status)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if status not in _TAKEN.get(answer.status, set()):
        return None
    counts = None
    if told.counts is not None:
        known = {field.name for field in fields(Counts)}
        counts = Counts(**{name: n for name, n in told.counts.items() if name in known})
    problems = tuple(
        Problem(_plain(one.text, service), one.line, one.column)
        for one in told.problems[:_MOST_PROBLEMS]
    )
    return Taken(
        status,
        told.format and _plain(told.format, service),
        told.run_id and _plain(told.run_id, service),
        counts,
        problems,
    )


def _said(body: bytes, service: Service) -> str | None:
    """Return the message of an error in the service's shape; None where it has another."""
    try:
        said = msgspec.json.decode(body, type=_Failed).error
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return _plain(" ".join(filter(None, [said.message, said.hint])), service)


def _plain(text: str, service: Service) -> str:
    if service.token is not None:
        text = text.replace(service.token, "***")
    return bounded(text, _LONGEST) or ""

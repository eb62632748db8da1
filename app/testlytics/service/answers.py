"""What the service answers with: one shape for each kind of answer, and one for all errors."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import msgspec

from testlytics_collector.errors import ConfigError, Error, InputError, NotFoundError
from testlytics_collector.ingest import FileResult

PROBLEM_STATUS = {
    "archive-project": 403,
    "archive-size": 413,
    "archive-stated": 400,
    "gzip-bomb": 413,
    "too-large": 413,
    "too-many-attempts": 413,
    "http-body-large": 413,
    "http-encoding": 415,
    "http-body-slow": 408,
    "http-busy": 503,
    "http-host": 403,
    "http-method": 405,
    "http-path": 404,
    "http-rate": 429,
    "oidc-keys": 503,
    "oidc-refused": 401,
    "service-read-only": 403,
    "service-slow": 503,
    "service-stopped": 503,
    "store-closing": 503,
    "store-disk-full": 507,
    "store-locked": 503,
    "store-read-slow": 503,
    "token-missing": 401,
    "token-project": 403,
    "token-scope": 403,
    "token-wrong": 401,
    "tokens-unreadable": 503,
}
"""The HTTP status of an error by its slug; of others its kind decides."""

_AGAIN_S = {429: 1, 503: 2, 507: 60}


class Said(msgspec.Struct, frozen=True):
    """An error.

    Attributes:
        slug: Its stable name; see messages.md.
        message: What happened.
        hint: What to do next, or null.
    """

    slug: str
    message: str
    hint: str | None


class Failed(msgspec.Struct, frozen=True):
    """The body of every answer from status 400 on."""

    schema: int
    error: Said


class Remark(msgspec.Struct, frozen=True):
    """Something a person should know of an upload."""

    text: str
    line: int | None
    column: int | None


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an upload.

    Attributes:
        schema: 1.
        status: `stored`, `already stored` or `already stored (pruned)`.
        format: `run-file`, `junit`, `archive`, or the name of another format.
        run_id: The run it belongs to.
        counts: How many of what, as `testlytics ingest --format json` has it; null where it was
            not stored now.
        problems: What a person should know of.
    """

    schema: int
    status: str
    format: str | None
    run_id: str | None
    counts: dict[str, int] | None
    problems: list[Remark]


class Alive(msgspec.Struct, frozen=True):
    """That the service is there."""

    schema: int
    status: str


def uploaded(result: FileResult) -> Uploaded:
    """Return what is said of an upload."""
    return Uploaded(
        schema=1,
        status=result.status.value,
        format=result.format,
        run_id=result.run_id,
        counts=asdict(result.counts) if result.counts else None,
        problems=[Remark(one.text, one.line, one.column) for one in result.problems],
    )


def status_of(error: Error) -> int:
    """Return the HTTP status of an error."""
    if error.slug in PROBLEM_STATUS:
        return PROBLEM_STATUS[error.slug]
    if isinstance(error, NotFoundError):
        return 404
    if isinstance(error, ConfigError):
        return 400
    return 422 if isinstance(error, InputError) else 500


def failed(error: Error, store: Path) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body for an error; where the store lies is nobody's business."""
    status = status_of(error)
    headers = {}
    if status in _AGAIN_S:
        headers["retry-after"] = str(_AGAIN_S[status])
    if status == 401:
        headers["www-authenticate"] = 'Bearer realm="testlytics"'

    def plain(text: str) -> str:
        for path in (store.resolve(), store.absolute(), store):
            text = text.replace(str(path), store.name)
        return text

    said = Said(error.slug, plain(error.message), error.hint and plain(error.hint))
    return status, headers, msgspec.json.encode(Failed(1, said))

"""What clients say in the query of an address, read strictly."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from testlytics_collector.errors import ConfigError
from testlytics_collector.store.places import AHEAD_US

_LONGEST = 1_000
_MOST = 64
_SECOND_US = 1_000_000
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Parameter(NamedTuple):
    """One parameter of a query.

    Attributes:
        name: As in the address.
        about: What it says, for the reference.
        schema: Its JSON Schema.
        read: From its texts, at least one, to its value; raises ValueError where it is none.
        default: Its value where it is not there.
        required: Whether it must be there.
    """

    name: str
    about: str
    schema: dict[str, Any]
    read: Callable[[list[str]], object]
    default: object = None
    required: bool = False


def text(name: str, about: str, *, choices: Sequence[str] = ()) -> Parameter:
    """Make a parameter that is one text."""

    def read(texts: list[str]) -> str:
        [one] = texts
        if not one or not one.isprintable() or (choices and one not in choices):
            raise ValueError(one)
        return one

    schema: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": _LONGEST}
    if choices:
        schema = {"type": "string", "enum": list(choices)}
    return Parameter(name, about, schema, read)


def number(
    name: str, about: str, *, least: int, most: int, default: int | None = None
) -> Parameter:
    """Make a parameter that is one whole number."""

    def read(texts: list[str]) -> int:
        [one] = texts
        if not re.fullmatch(r"[0-9]{1,9}", one) or not least <= int(one) <= most:
            raise ValueError(one)
        return int(one)

    schema: dict[str, Any] = {"type": "integer", "minimum": least, "maximum": most}
    if default is not None:
        schema["default"] = default
    return Parameter(name, about, schema, read, default)


def pairs(name: str, about: str) -> Parameter:
    """Make a parameter that comes once for each pair `key=value`."""

    def read(texts: list[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for one in texts:
            key, equals, value = (part.strip() for part in one.partition("="))
            if not equals or not key or key in found or not one.isprintable() or "," in one:
                raise ValueError(one)
            found[key] = value
        return found

    schema = {"type": "array", "items": {"type": "string", "pattern": "^[^=]+=.*$"}}
    return Parameter(name, about, schema, read, {})


def instant(name: str, about: str) -> Parameter:
    """Make a parameter that is a date, a date with time, or an age such as `30d`."""

    def read(texts: list[str]) -> int:
        [one] = texts
        try:
            if age := re.fullmatch(r"(\d{1,5})([smhdw])", one, re.ASCII):
                moment = datetime.now(UTC) - timedelta(**{_UNITS[age[2]]: int(age[1])})
            else:
                moment = datetime.fromisoformat(one)
                moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return int(moment.timestamp() * 1_000_000)
        except OverflowError as error:
            raise ValueError(one) from error

    return Parameter(name, about, {"type": "string", "examples": ["2026-01-31", "30d"]}, read)


def commit_time(name: str, about: str) -> Parameter:
    """Make a parameter that is a commit's date: seconds since 1970, or a date with its zone."""

    def read(texts: list[str]) -> int:
        [one] = texts
        if re.fullmatch(r"[0-9]{1,11}(\.[0-9]{1,6})?", one):
            whole, _, part = one.partition(".")
            order_us = int(whole) * _SECOND_US + int(part.ljust(6, "0"))
        else:
            moment = datetime.fromisoformat(one)
            if moment.tzinfo is None:
                raise ValueError(one)
            order_us = int(moment.timestamp() * _SECOND_US)
        if not 0 < order_us <= time.time_ns() // 1_000 + AHEAD_US:
            raise ValueError(one)
        return order_us

    examples = ["1767225600", "2026-01-31T12:00:00+01:00"]
    return Parameter(name, about, {"type": "string", "examples": examples}, read)


def commits(name: str, about: str) -> Parameter:
    """Make a parameter that comes once for each commit, by its full id."""

    def read(texts: list[str]) -> tuple[str, ...]:
        if not all(_COMMIT.fullmatch(one) for one in texts):
            raise ValueError(texts)
        return tuple(texts)

    schema = {"type": "array", "items": {"type": "string", "pattern": f"^({_COMMIT.pattern})$"}}
    return Parameter(name, about, schema, read, ())


def read_query(raw: bytes, parameters: Sequence[Parameter]) -> Mapping[str, Any]:
    """Read a query.

    Args:
        raw: What follows `?`, as it came.
        parameters: All that may be in it.

    Returns:
        A value for each parameter.

    Raises:
        ConfigError: It holds something else, something twice, or a value that is none.
    """
    try:
        found = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MOST,
        )
    except ValueError as error:
        raise _unusable("The query cannot be read: UTF-8, percent-encoded, was expected") from error
    texts: dict[str, list[str]] = {}
    for name, value in found:
        texts.setdefault(name, []).append(value)
    known = {one.name: one for one in parameters}
    for name in texts:
        if name not in known:
            expected = ", ".join(sorted(known)) or "none"
            raise _unusable(f"The parameter {name[:60]!r} is not known; known are: {expected}")
    values = {}
    for name, one in known.items():
        try:
            if one.required and name not in texts:
                raise _unusable(f"The parameter {name} is missing: {one.about}")
            if any(len(given) > _LONGEST for given in texts.get(name, ())):
                raise ValueError(name)  # noqa: TRY301 - said in one place, below
            values[name] = one.read(texts[name]) if name in texts else one.default
        except ValueError as error:
            given = ", ".join(repr(given[:60]) for given in texts[name][:3])
            raise _unusable(f"The parameter {name}={given} is unusable: {one.about}") from error
    return values


def _unusable(message: str) -> ConfigError:
    return ConfigError(
        f"{message}.", slug="http-parameter", hint="What there is: GET /api/v1/openapi.json"
    )

"""Checks a value against the part of JSON Schema that the run file's schema uses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parents[3] / "docs" / "reference" / "run-file.schema.json"
_TYPES: dict[str, type] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
_KNOWN = {
    "type", "const", "enum", "pattern", "minLength", "minimum", "required", "properties",
    "additionalProperties", "items", "$ref",
}  # fmt: skip


@cache
def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return loaded


def violations(record: dict[str, Any]) -> list[str]:
    """Say where a line of a run file is not as the schema says."""
    kinds = schema()["$defs"]
    kind = record.get("type")
    if f"#/$defs/{kind}" not in [entry["$ref"] for entry in schema()["oneOf"]]:
        return [f"type: {kind!r} is not in the schema"]
    return list(_check(record, kinds[kind], str(kind)))


def _check(value: object, rule: dict[str, Any], where: str) -> Iterator[str]:
    assert set(rule) <= _KNOWN, f"{where}: this checker does not know {set(rule) - _KNOWN}"
    if "$ref" in rule:
        yield from _check(value, schema()["$defs"][rule["$ref"].rpartition("/")[2]], where)
        return
    names = rule.get("type", [])
    names = [names] if isinstance(names, str) else names
    if names and type(value) not in [_TYPES[name] for name in names]:
        yield f"{where}: {value!r} is no {names}"
    if "const" in rule and (value != rule["const"] or type(value) is not type(rule["const"])):
        yield f"{where}: {value!r} is not {rule['const']!r}"
    if "enum" in rule and value not in rule["enum"]:
        yield f"{where}: {value!r} is none of {rule['enum']}"
    if isinstance(value, str) and not _text_fits(value, rule):
        yield f"{where}: {value!r} is not as {rule}"
    elif isinstance(value, int) and value < rule.get("minimum", value):
        yield f"{where}: {value!r} is below {rule['minimum']}"
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _check(entry, rule.get("items", {}), f"{where}[{index}]")
    elif isinstance(value, dict):
        yield from _check_object(value, rule, where)


def _text_fits(text: str, rule: dict[str, Any]) -> bool:
    found = re.search(rule.get("pattern", ""), text)
    return found is not None and len(text) >= rule.get("minLength", 0)


def _check_object(value: dict[str, Any], rule: dict[str, Any], where: str) -> Iterator[str]:
    yield from (
        f"{where}: {key} is missing" for key in rule.get("required", []) if key not in value
    )
    known = rule.get("properties", {})
    other = rule.get("additionalProperties", True)
    for key, entry in value.items():
        if key in known:
            yield from _check(entry, known[key], f"{where}.{key}")
        elif other is False:
            yield f"{where}: {key} is not in the schema"
        elif isinstance(other, dict):
            yield from _check(entry, other, f"{where}.{key}")

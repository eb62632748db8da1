"""The service's interface as an OpenAPI 3.1 document, and as a page of the reference."""

from __future__ import annotations

from typing import Any

import msgspec

import testlytics
from testlytics.service.answers import Alive, Failed, Uploaded
from testlytics.service.query import Parameter
from testlytics.service.routes import ENDPOINTS, JSON, UPLOAD, Endpoint

_REF = "#/components/schemas/{name}"


def document() -> dict[str, Any]:
    """Return the document."""
    _, schemas = msgspec.json.schema_components([Uploaded, Alive, Failed], ref_template=_REF)
    # What the command line answers with: its keys are said by its own reference.
    schemas["Document"] = {
        "type": "object",
        "required": ["schema"],
        "properties": {"schema": {"const": 1}},
    }
    paths: dict[str, dict[str, Any]] = {}
    for one in ENDPOINTS:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "testlytics",
            "version": testlytics.__version__,
            "description": "Uploads are acknowledged when they are committed; the same bytes twice "
            "change nothing. Every error has the same shape.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(one: Endpoint) -> dict[str, Any]:
    name = one.path.strip("/").removeprefix("api/v1/").replace(".", "_")
    found: dict[str, Any] = {
        "operationId": f"{one.method.lower()}_{name}",
        "summary": one.about,
        "parameters": [
            {
                "name": parameter.name,
                "in": "query",
                "required": parameter.required,
                "description": parameter.about,
                "schema": parameter.schema,
            }
            for parameter in one.parameters
        ],
        "responses": _responses(one),
    }
    if one.scope is not None:
        found["security"] = [{"token": []}]
        found["x-scope"] = one.scope
    if one is UPLOAD:
        binary = {"schema": {"type": "string", "format": "binary"}}
        kinds = ("application/octet-stream", "application/xml", "application/x-ndjson")
        found["requestBody"] = {"required": True, "content": dict.fromkeys(kinds, binary)}
    return found


def _responses(one: Endpoint) -> dict[str, Any]:
    shape: dict[str, Any] = {"type": "string"}
    if one.media == JSON:
        name = one.answer.__name__ if one.answer else "Document"
        shape = {"$ref": _REF.format(name=name)}
    content = {one.media: {"schema": shape}}
    problem = {JSON: {"schema": {"$ref": _REF.format(name="Failed")}}}
    found: dict[str, Any] = {"200": {"description": "The answer.", "content": content}}
    if one is UPLOAD:
        found["200"]["description"] = "These bytes were stored before."
        found["201"] = {"description": "Stored: committed to the store.", "content": content}
    return found | {"default": {"description": "It could not be done.", "content": problem}}


def page() -> str:
    """Return the reference page."""
    lines = [
        "# HTTP",
        "",
        "What `testlytics serve` answers; made from the service's own OpenAPI document, which it",
        "serves at `/api/v1/openapi.json`. How to run it: [service.md](../how-to/service.md).",
        "",
        'Answers are JSON with `"schema": 1`; lists and reports are those of the commands with',
        "`--format json`. Every error is",
        '`{"schema": 1, "error": {"slug": ..., "message": ..., "hint": ...}}`; the slugs are',
        "in [messages.md](messages.md). An address, a method or a parameter that is not here is an",
        "error.",
    ]
    for one in ENDPOINTS:
        lines += ["", f"## {one.method} {one.path}", "", one.about]
        if one.scope:
            lines[-1] += f" Scope: `{one.scope}`."
        if one.parameters:
            lines += ["", "| parameter | what it says |", "|---|---|"]
            lines += [f"| `{item.name}` | {_about(item)} |" for item in one.parameters]
        if one.answer:
            lines += ["", f"Answers with `{one.answer.__name__}`."]
    return "\n".join([*lines, "", *_shapes()]) + "\n"


def _about(item: Parameter) -> str:
    return f"{'needed: ' if item.required else ''}{item.about}{_bounds(item.schema)}"


def _bounds(schema: dict[str, Any]) -> str:
    if schema["type"] != "integer":
        return ""
    default = f", default {schema['default']}" if "default" in schema else ""
    return f" ({schema['minimum']} to {schema['maximum']}{default})"


def _shapes() -> list[str]:
    _, schemas = msgspec.json.schema_components([Uploaded, Alive, Failed], ref_template="{name}")
    lines = ["## Shapes", "", "| shape | keys |", "|---|---|"]
    for name, schema in sorted(schemas.items()):
        keys = ", ".join(f"`{key}`" for key in schema["properties"])
        lines.append(f"| `{name}` | {keys} |")
    return lines

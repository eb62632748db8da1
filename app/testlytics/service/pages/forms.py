"""What a page tells as JSON and CSV: the same for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from testlytics.report import rows as rows_
from testlytics.report.sections import Row
from testlytics.service.pages.asking import Page, Shown
from testlytics_collector.errors import ConfigError

JSON = "application/json"
CSV = "text/csv; charset=utf-8"


def as_json(page: Page, shown: Shown) -> bytes:
    """Write everything: `schema`, `page`, its values, and a key for each list."""
    name = page.path.strip("/") or "projects"
    document = {"schema": 1, "page": name, "title": shown.title, **shown.values, **shown.lists}
    written = json.dumps(rows_.plain(document), ensure_ascii=True, allow_nan=False, indent=1)
    return f"{written}\n".encode()


def as_csv(shown: Shown, name: str | None) -> bytes:
    """Write one list: the main one, or the one of a name.

    Raises:
        ConfigError: There is no list of that name.
    """
    if name is not None and name not in shown.lists:
        known = ", ".join(shown.lists) or "none"
        raise ConfigError(
            f"This page has no list {name[:60]!r}; it has: {known}.", slug="http-parameter"
        )
    held = shown.lists[name] if name else next(iter(shown.lists.values()), [])
    columns = _columns(held)
    values = ([row.get(column) for column in columns] for row in held)
    return "".join(rows_.as_csv(columns, values)).encode()


def _columns(rows: Iterable[Row]) -> Sequence[str]:
    return list(dict.fromkeys(name for row in rows for name in row))

"""The service's log: a line of JSON for each thing, on stderr, without secrets."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

_FIELDS = (
    *("method", "route", "status", "ms", "token", "slug", "error", "where"),
    *("host", "port", "store", "mode"),
)


class JsonLines(logging.Formatter):
    """Writes a record as one line. What is not named here, headers above all, is not written."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        told = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        told |= {
            name: value for name in _FIELDS if (value := getattr(record, name, None)) is not None
        }
        if record.exc_info and record.exc_info[0] is not None:
            told["error"] = record.exc_info[0].__name__
        return json.dumps(told)


def to_stderr() -> None:
    """Send all of it to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    logging.getLogger("testlytics.service").setLevel(logging.INFO)

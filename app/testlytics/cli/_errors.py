"""From errors to exit codes, and to one line on stderr. The only place that does it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from testlytics_collector.errors import ConfigError, Error, NotFoundError

OK = 0
USAGE = 2
FAILED = 3
NOTHING = 5
INTERRUPTED = 130


def exit_code(error: Error) -> int:
    """Return the exit code of an error."""
    if isinstance(error, ConfigError):
        return USAGE
    return NOTHING if isinstance(error, NotFoundError) else FAILED


def say(text: str) -> None:
    """Print one message on stderr, harmless whatever untrusted text it holds."""
    safe = "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )
    encoding = sys.stderr.encoding or "ascii"
    print(safe.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)  # noqa: T201


def guarded(command: Callable[[], object]) -> NoReturn:
    """Run the whole command and leave with its exit code; never with a traceback."""
    try:
        command()
    except Error as error:
        say(f"testlytics: {error}")
        _leave(exit_code(error))
    except KeyboardInterrupt:
        say("testlytics: interrupted.")
        _leave(INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the edge: nobody above us can handle it
        if os.environ.get("TESTLYTICS_TRACEBACK"):
            traceback.print_exc()
        say(
            f"testlytics: internal error, {type(error).__name__}: {error}. Please report it; "
            "TESTLYTICS_TRACEBACK=1 shows where it happened."
        )
        _leave(FAILED)
    _leave(OK)


def _leave(code: int) -> NoReturn:
    raise SystemExit(code)

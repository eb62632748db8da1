"""Does an input look like JUnit XML?"""

from __future__ import annotations

import re

from testlytics_collector.errors import InputError
from testlytics_collector.formats.junit.encoding import encoding_of

_TAG = re.compile(r"<\?xml\b|<!DOCTYPE\b|<!--|<(?:[\w.-]+:)?test(?:suites?|case|run)\b")
_ANY_TAG = re.compile(r"<[A-Za-z_][\w:.-]*[\s/>]")


def looks_like(head: bytes) -> bool:
    """Tell from its beginning whether an input is XML, and so may be a report.

    Args:
        head: The first few KB, in any encoding, with or without a byte order mark. Junk before
            the first tag is passed over.

    Returns:
        True where a tag of a report, or any tag at the very beginning, is found. Whether the
        document is a report is for `read` to say.
    """
    try:
        text = head.decode(encoding_of(head).codec, "replace")
    except (InputError, LookupError):
        text = head.decode("latin-1")
    text = text.lstrip("\ufeff\0 \t\r\n")
    if text.startswith("{"):
        return False
    return _ANY_TAG.match(text) is not None or _TAG.search(text) is not None

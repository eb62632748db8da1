"""From bytes to what expat can read: which encoding, and chunks of it.

expat knows UTF-8, UTF-16, Latin-1 and ASCII. Everything else is recoded to UTF-8 on the way in.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from testlytics_collector.errors import InputError
from testlytics_collector.formats.text import printable

CHUNK = 1 << 20
"""Bytes fed at once. expat looks at an unfinished tag anew with each chunk, so small ones cost
the square of a long attribute's length."""

_DECLARED = re.compile(r"<\?xml[^>]{0,200}?\bencoding\s*=\s*[\"']([A-Za-z0-9._:-]{1,40})[\"']")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WITHOUT_BOM = (
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_NATIVE = {"utf-8": "utf-8", "iso8859-1": "iso-8859-1", "ascii": "us-ascii"}
# Only what is a character set; Python's registry holds much else (rot13, zip, idna).
_CHARACTER_SET = re.compile(
    r"(cp|windows[-_]?)\d+|(iso8859|koi8|mac|euc|big5|iso2022|shift_jis|shift_jisx?)\b.*|iso8859[-_].*"
    r"|koi8[-_].*|mac[-_].*|euc[-_].*|big5.*|iso2022[-_].*|shift_jis.*|gb.*|hz|johab|hp-roman8"
    r"|ptcp154|kz1048|tis-620|utf-32.*"
)
# What pages and tools call by the smaller set is written in the larger one.
_WIDER = {"shift_jis": "cp932", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949"}


class Encoded(NamedTuple):
    """How a document is encoded.

    Attributes:
        native: The encoding by the name that expat has for it, empty where expat is to find out
            itself, None where it cannot read it.
        codec: The Python codec.
    """

    native: str | None
    codec: str


def encoding_of(head: bytes) -> Encoded:
    """Find a document's encoding from its first bytes.

    Args:
        head: The first few hundred bytes.

    Raises:
        InputError: It declares an encoding that is not known.
    """
    marked = next((name for bom, name in _BOMS if head.startswith(bom)), None)
    if marked is None:
        marked = next((name for start, name in _WITHOUT_BOM if head.startswith(start)), None)
    if marked is not None:
        native = next((name for name in ("utf-8", "utf-16") if marked.startswith(name)), None)
        return Encoded(native, marked)
    declared = _DECLARED.search(head[:4096].decode("latin-1"))
    if declared is None:
        return Encoded("utf-8", "utf-8")
    return _declared(declared[1])


def _declared(name: str) -> Encoded:
    try:
        codec = codecs.lookup(name).name
    except LookupError:
        codec = ""
    if codec in _NATIVE:
        return Encoded(_NATIVE[codec], codec)
    if codec.startswith("utf-16"):
        # Declared so, but the bytes are not: expat says where.
        return Encoded("", "utf-8")
    if not _CHARACTER_SET.fullmatch(codec):
        raise InputError(
            f"The document declares the encoding {printable(name)}, which is not known.",
            slug="junit-encoding",
            hint="Write the report in UTF-8.",
            line=1,
            column=1,
        )
    return Encoded(None, _WIDER.get(codec, codec))


def decoded(chunks: Iterable[bytes], codec: str) -> Iterator[str]:
    """Decode a document.

    Args:
        chunks: Its bytes, cut anywhere.
        codec: The Python codec.

    Raises:
        InputError: Bytes that the encoding does not have.
    """
    decoder = codecs.getincrementaldecoder(codec)()
    done = 0
    try:
        for chunk in chunks:
            yield decoder.decode(chunk)
            done += len(chunk)
        yield decoder.decode(b"", True)
    except UnicodeError as error:
        reason = error.reason if isinstance(error, UnicodeDecodeError) else str(error)
        raise InputError(
            f"After {done} bytes the document is not {codec} any more: {reason}.",
            slug="junit-encoding",
            hint="Check the encoding that its first line declares.",
        ) from error

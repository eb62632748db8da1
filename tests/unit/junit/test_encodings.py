"""Documents in any encoding, and what is no document in any."""

from __future__ import annotations

import pytest

from testlytics_collector.errors import InputError
from testlytics_collector.formats import junit
from testlytics_collector.formats.interface import Limits
from tests.unit.junit.reports import read

SUITE = '<testsuite name="s"><testcase classname="c" name="{}" time="1"/></testsuite>'


def declared(encoding: str, name: str) -> str:
    return f'<?xml version="1.0" encoding="{encoding}"?>\n{SUITE.format(name)}'


@pytest.mark.parametrize(
    ("codec", "declaration", "name"),
    [
        ("utf-8", "UTF-8", "日本"),
        ("utf-8", "utf8", "é"),
        ("utf-8-sig", "utf-8", "é"),
        ("utf-16", "UTF-16", "é \u2013 日本"),
        ("utf-16-le", "utf-16", "é"),
        ("utf-16-be", "utf-16", "é"),
        ("utf-32", "UTF-32", "日本"),
        ("utf-32-le", "UTF-32", "日本"),
        ("iso-8859-1", "ISO-8859-1", "é"),
        ("iso-8859-15", "ISO-8859-15", "€"),
        ("cp1252", "windows-1252", "€"),
        ("cp1251", "windows-1251", "Ж"),
        ("koi8-r", "KOI8-R", "Ж"),
        ("shift_jis", "Shift_JIS", "日本ソ"),
        ("euc-jp", "EUC-JP", "日本"),
        ("gbk", "GB2312", "测试"),
        ("gb18030", "GB18030", "测试"),
        ("big5", "Big5", "測試"),
        ("euc-kr", "EUC-KR", "시험"),
        ("iso2022_jp", "ISO-2022-JP", "日本"),
        ("ascii", "US-ASCII", "a"),
    ],
)
def test_every_encoding_reads_the_same(codec: str, declaration: str, name: str) -> None:
    data = declared(declaration, name).encode(codec)
    assert read(data).ids == [f"c::{name}"]
    assert read(data, limits=Limits(repair=True)).problems == ""
    assert junit.looks_like(data[:200])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (declared("utf-8", "é").encode("latin-1"), "not well-formed"),
        (declared("klingon", "a").encode(), "encoding klingon"),
        (declared("rot13", "a").encode(), "encoding rot13"),
        (declared("utf-7", "a").encode(), "encoding utf-7"),
        (declared("idna", "a").encode(), "encoding idna"),
        (declared("utf-16", "a").encode("utf-8"), "not well-formed"),
        (declared("Shift_JIS", "a").encode() + b"\x81", "not cp932"),
        (declared("UTF-32", "a").encode("utf-32")[:-2], "not utf-32"),
    ],
)
def test_what_is_not_what_it_declares_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read(data)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"", False),
        (b"\n  <testsuites>", True),
        (b"\xef\xbb\xbf<?xml version='1.0'?>", True),
        (b"make: entering\n<testsuite name='a'>", True),
        (b"<html>", True),
        (b'{"type": "run", "note": "<testsuite>"}', False),
        (b"plain words", False),
        (b"a < b", False),
        (b"\x00\xff\xfe\x00", False),
    ],
)
def test_looks_like(head: bytes, expected: bool) -> None:
    assert junit.looks_like(head) is expected

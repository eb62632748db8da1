from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_testlytics.text import (
    clean,
    dump,
    mask_arguments,
    shorten,
    strip_credentials,
    to_text,
)

ANYTHING = st.text(st.characters(categories=("L", "N", "P", "S", "Z", "Cc", "Cs", "Co")))


@given(ANYTHING)
def test_clean_text_is_valid_unicode_without_nul(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.encode("utf-8").decode("utf-8") == cleaned
    assert "\x00" not in cleaned
    assert clean(cleaned) == cleaned


@given(st.text().filter(lambda text: "\x00" not in text))
def test_valid_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


def test_surrogate_pairs_are_joined_and_lone_ones_replaced() -> None:
    assert clean("\ud83d\ude00 \ud83d \udcff \x00") == "\U0001f600 \ufffd \ufffd \ufffd"


@given(st.dictionaries(ANYTHING, ANYTHING | st.lists(ANYTHING)))
def test_every_record_is_one_line_of_valid_json(record: dict[str, object]) -> None:
    line = dump(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    parsed = json.loads(line.decode("utf-8"))
    json.dumps(parsed, ensure_ascii=False).encode("utf-8")


def test_odd_values_are_written_as_text() -> None:
    assert dump({"value": {1}}) == b'{"value":"{1}"}\n'


@given(st.text(), st.integers(min_value=1, max_value=20))
def test_shortened_text_fits_and_keeps_both_ends(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert len(short) <= limit
    if len(text) <= limit:
        assert short == text
    elif limit >= 3:
        assert short[0] == text[0]
        assert short[-1] == text[-1]


class Mute:
    def __str__(self) -> str:
        raise RuntimeError


def test_object_without_words() -> None:
    assert to_text(Mute()) == "<unprintable Mute>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://me:pass@host/x and ssh://git@h", "https://host/x and ssh://h"),
        ("https://host/@scope", "https://host/@scope"),
        ("me@example.org", "me@example.org"),
    ],
)
def test_credentials_are_stripped_from_urls(text: str, expected: str) -> None:
    assert strip_credentials(text) == expected


@pytest.mark.parametrize(
    ("given_arguments", "expected"),
    [
        (["--api-token=abc", "-x"], ["--api-token=***", "-x"]),
        (["--password", "abc", "tests"], ["--password", "***", "tests"]),
        (["--secret", "-x", "abc"], ["--secret", "-x", "abc"]),
        (["--url=https://u:p@h/", "--keyword=k"], ["--url=https://h/", "--keyword=k"]),
        (["tests/test_token.py", "-k", "password"], ["tests/test_token.py", "-k", "password"]),
    ],
)
def test_secrets_in_arguments_are_masked(given_arguments: list[str], expected: list[str]) -> None:
    assert mask_arguments(given_arguments) == expected

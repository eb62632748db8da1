"""ISBNs of both lengths, right and wrong."""

import pytest

from bookshop import isbn


@pytest.mark.parametrize(
    "printed",
    ["9780141439587", "978-0-14-143958-7", "978-0141439518"],
)
def test_thirteen_digits_stay_what_they_are(printed: str) -> None:
    assert isbn.normalise(printed) == printed.replace("-", "")


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("0141439580", "9780141439587"),
        ("0-14-143958-0", "9780141439587"),
        ("080442957X", "9780804429573"),
        ("0-9752298-0-x", "9780975229804"),
    ],
)
def test_ten_digits_become_thirteen(printed: str, expected: str) -> None:
    assert isbn.normalise(printed) == expected


@pytest.mark.parametrize(
    "printed",
    ["", "Emma", "9780141439588", "08044295X7", "97801414395871"],
)
def test_what_is_not_an_isbn_is_refused(printed: str) -> None:
    with pytest.raises(ValueError, match="not an ISBN"):
        isbn.normalise(printed)


def test_check_digit() -> None:
    assert isbn.check_digit("978014143958") == "7"

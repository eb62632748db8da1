"""Values of any column, as JSON and as people have them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from testlytics.report.rows import distinct, plain, text


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, None),
        (True, True),
        (2**70, 2**70),
        (0.1, 0.1),
        (float("nan"), None),
        (float("-inf"), None),
        (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "2026-01-02T03:04:05.000006+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (timedelta(minutes=1, microseconds=500_000), 60.5),
        (Decimal("1.10"), 1.1),
        (Decimal("NaN"), None),
        (b"\x00\xff", "00ff"),
        ({1: [Decimal(2), b"a"]}, {"1": [2.0, "61"]}),
        ((float("inf"), "x"), [None, "x"]),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
    ids=repr,
)
def test_every_value_has_one_in_json(value: object, told: object) -> None:
    assert plain(value) == told
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, ""),
        (float("nan"), ""),
        ("a\tb", "a\tb"),
        (True, "true"),
        (["é", None], '["é", null]'),
    ],
)
def test_people_see_nothing_where_there_is_nothing(value: object, told: str) -> None:
    assert text(value) == told


def test_columns_of_one_name_are_told_apart_also_from_one_that_has_the_number() -> None:
    found = distinct(["n", "n_1", "n", "n", "m"])
    assert found[:2] == ["n", "n_1"]
    assert found[-1] == "m"
    assert len(set(found)) == 5

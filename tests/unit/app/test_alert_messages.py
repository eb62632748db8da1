"""Alerts as Slack and GitHub get them."""

from __future__ import annotations

import json

import pytest

from testlytics.alerts.events import Event, as_json
from testlytics.alerts.messages import MOST_BLOCKS, as_issue, as_slack, mrkdwn

FLAKY = {
    "flake_rate": 0.12,
    "flake_rate_low": 0.05,
    "flake_rate_high": 0.2,
    "grade": "proven",
    "p_flaky": 0.99,
}
BROKEN = {"p_broken": 0.99, "broken_commit": "b" * 40, "last_good_commit": "a" * 40}
SLOWER = {"baseline_s": 0.1, "current_s": 0.2, "ratio": 2.0, "since_commit": "c" * 40}
EVENTS = [
    ("flaky", "opened", FLAKY, "became flaky", "flake rate 12 % (5 % to 20 %), proven"),
    ("broken", "opened", BROKEN, "broke", "99 % likely, since bbbbbbbb, last good aaaaaaaa"),
    ("fixed", "closed", FLAKY, "is mended", ""),
    ("slower", "opened", SLOWER, "got slower", "100 ms to 200 ms, 2.00 times, since cccccccc"),
    (
        "faster",
        "closed",
        {**SLOWER, "now_s": 0.11},
        "is as fast as before",
        "110 ms, was 200 ms when it was slow",
    ),
    (
        "quarantine-expired",
        "opened",
        {"expires": "2026-01-02", "reason": "x"},
        "is not quarantined any more: its entry expired",
        "on 2026-01-02: x",
    ),
]


def event(test_id: str | None = "a.py::t", **more: object) -> Event:
    fields: dict[str, object] = {
        "kind": "flaky",
        "change": "opened",
        "project": "p",
        "variant": "os=linux",
        "run_id": "run-1",
        "commit": "d" * 40,
        "owner": "@me",
        "values": FLAKY,
    }
    return Event(test_id=test_id, **{**fields, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "change", "values", "head", "more"), EVENTS)
def test_each_kind_says_what_happened(
    kind: str, change: str, values: dict[str, object], head: str, more: str
) -> None:
    one = event(kind=kind, change=change, values=values)
    [told] = json.loads(as_json([one]))["events"]
    assert told["text"] == f"a.py::t (os=linux) {head}" + (f": {more}" if more else "")
    assert head in as_issue([one])
    assert (told["kind"], told["change"], told["id"]) == (kind, change, one.id)


@pytest.mark.parametrize(("change", "text"), [("opened", "rose above"), ("closed", "fell below")])
def test_suite_is_told_of_as_such(change: str, text: str) -> None:
    one = event(None, kind="retry-rate", change=change, variant=None, values={"retry_rate": 0.081})
    [told] = json.loads(as_json([one]))["events"]
    assert told["text"].startswith("suite p the share of tests that are tried again " + text)


def test_ids_tell_events_apart_and_stay() -> None:
    ids = {event(name, change=change).id for name in ("a", "b") for change in ("opened", "closed")}
    assert len(ids) == 4
    assert event(values={}).id == event().id


HOSTILE = "t[<!channel> *b* _i_ ~s~ `c` & @all\n\x1b[31m<https://x|y>]"


def test_slack_shows_names_as_they_are() -> None:
    message = json.loads(as_slack([event(HOSTILE, owner="<@U1>", values={**FLAKY})]))
    text = message["blocks"][1]["text"]["text"]
    assert "<" not in text
    assert ">" not in text
    assert "\x1b" not in text
    # Its own two stars, and one line end before the numbers.
    assert text.count("*") == 2
    assert text.count("\n") == 1
    assert not {"_", "~", "`"} & set(text)
    assert "&lt;!channel&gt;" in text
    assert mrkdwn("a & b") == "a &amp; b"


def test_slack_gets_no_more_than_it_takes() -> None:
    message = json.loads(as_slack([event("x" * 5_000 + str(n)) for n in range(200)]))
    assert len(message["blocks"]) == MOST_BLOCKS + 2 <= 50
    assert all(len(block["text"]["text"]) < 3_000 for block in message["blocks"])
    assert message["blocks"][-1]["text"]["text"] == "... and 155 more."


def test_issue_names_nobody_and_holds_no_markup() -> None:
    body = as_issue([event(HOSTILE)])
    assert not {"<", "`", "~"} & set(body)
    assert "@" not in body
    assert len(body.splitlines()) == 3
    assert as_issue([]) == ""
    many = as_issue([event("<" * 5_000)] * 1_000)
    assert 50_000 < len(many) < 65_536
    shown = many.count("became flaky")
    assert many.splitlines()[-1] == f"- ... and {1_000 - shown} more."

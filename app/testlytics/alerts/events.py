"""The one format of what is told: events."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from testlytics.alerts.hysteresis import OPENED, Rule
from testlytics.report.sections import commit, percent, probability, seconds

SCHEMA = 1
"""Version of the JSON shape; rises when a key goes away or changes its meaning."""

FLAKY = "flaky"
BROKEN = "broken"
FIXED = "fixed"
SLOWER = "slower"
FASTER = "faster"
EXPIRED = "quarantine-expired"
RETRIES = "retry-rate"

RULES: Mapping[str, Rule] = {
    FLAKY: Rule(0.7, 0.4, 5),
    BROKEN: Rule(0.6, 0.2, 3),
    # The share of the increase that is left.
    SLOWER: Rule(1.0, 0.3, 5),
    EXPIRED: Rule(1.0, 1.0, 0),
    RETRIES: Rule(0.05, 0.03, 10),
}
"""When each kind opens and closes."""


class Event(NamedTuple):
    """One thing that is told.

    Attributes:
        kind: flaky, broken, fixed, slower, faster, quarantine-expired or retry-rate.
        change: opened or closed; fixed and faster are closed.
        project: Namespace of the tests; empty where it is about no project.
        test_id: The test; None where it is about the suite.
        variant: In canonical form; None where it is about all.
        run_id: The newest run of the project; None where it is about no run.
        commit: Its commit; None where unknown.
        owner: Who answers for the test; None where nobody is known.
        values: Numbers and texts of the kind, see `sentence`.
    """

    kind: str
    change: str
    project: str
    test_id: str | None
    variant: str | None
    run_id: str | None
    commit: str | None
    owner: str | None
    values: Mapping[str, Any]

    @property
    def id(self) -> str:
        """16 hexadecimal digits: equal for the same event, should it be told twice."""
        parts = [self.kind, self.change, self.project, self.test_id, self.variant, self.run_id]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()


_HEADS = {
    FLAKY: "became flaky",
    BROKEN: "broke",
    FIXED: "is mended",
    SLOWER: "got slower",
    FASTER: "is as fast as before",
    EXPIRED: "is not quarantined any more: its entry expired",
}


def subject(event: Event) -> str:
    """Return what it is about; may hold untrusted text."""
    if event.test_id is None:
        return f"suite {event.project}"
    return event.test_id + (f" ({event.variant})" if event.variant else "")


def headline(event: Event) -> str:
    """Return what happened, to be read behind the subject."""
    if event.kind == RETRIES:
        rate = percent(event.values["retry_rate"])
        way = "rose above 5 %" if event.change == OPENED else "fell below 3 %"
        return f"the share of tests that are tried again {way}: {rate}"
    return _HEADS[event.kind]


def sentence(event: Event) -> str:
    """Return the numbers behind it; empty where there are none. May hold untrusted text."""
    told = event.values
    if event.kind == FLAKY:
        low, high = percent(told["flake_rate_low"]), percent(told["flake_rate_high"])
        return f"flake rate {percent(told['flake_rate'])} ({low} to {high}), {told['grade']}"
    if event.kind == BROKEN:
        since = commit(told["broken_commit"])
        good = commit(told["last_good_commit"])
        return f"{probability(told['p_broken'])} likely, since {since}, last good {good}"
    if event.kind == SLOWER:
        times = f"{seconds(told['baseline_s'])} to {seconds(told['current_s'])}"
        return f"{times}, {told['ratio']:.2f} times, since {commit(told['since_commit'])}"
    if event.kind == FASTER:
        return f"{seconds(told['now_s'])}, was {seconds(told['current_s'])} when it was slow"
    if event.kind == EXPIRED:
        return f"on {told['expires']}: {told['reason']}"
    return ""


def as_json(events: Sequence[Event]) -> str:
    """Write events as JSON: what `--to json` prints and a webhook gets."""
    rows = [
        {
            "id": event.id,
            **event._asdict(),
            "values": dict(event.values),
            "text": ": ".join(
                filter(None, [f"{subject(event)} {headline(event)}", sentence(event)])
            ),
        }
        for event in events
    ]
    document = {"schema": SCHEMA, "events": rows}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

"""What a window knows of a few tests, by name: what became of them, and what they said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from testlytics_collector.store.outcomes import BAD, GOOD

Rows = Callable[..., list[tuple[Any, ...]]]

_NAMED = """
create or replace temp table watched as
select test_key, project, test_id
from raw.tests
where test_id in (select unnest($1::varchar[]))
   or family_of(test_id) in (select unnest($1::varchar[]))
"""

_KNOWN = "select project, test_id from watched order by project, test_id"

_SEEN = f"""
select w.project, w.test_id, v.variant, c.step::integer, count_if(a.outcome in {GOOD})::integer,
       count_if(a.outcome in {BAD})::integer, count_if(a.outcome = 'skipped'::raw.outcome)::integer
from raw.attempts a
join chosen c using (upload_key)
join watched w on w.test_key = a.test_key
join raw.variants v on v.variant_key = c.variant_key
where a.test_key in (select test_key from watched)
group by all
order by 1, 2, 3, 4
"""  # noqa: S608 - constants

_TEXTS = """
select distinct w.project, w.test_id, v.variant, c.step::integer as step, m.type, m.message, m.place
from derived.events e
join chosen c on c.run_key = e.run_key and c.variant_key = e.variant_key
join watched w on w.test_key = e.test_key
join raw.variants v on v.variant_key = e.variant_key
join raw.messages m on m.message_key = e.message_key
order by all
"""


class Seen(NamedTuple):
    """What became of a test in one run and variant.

    Attributes:
        step: The run, an index of `WindowReader.runs`.
        passes: Attempts that passed.
        failures: Attempts that failed.
        skips: Attempts that were skipped.
    """

    step: int
    passes: int
    failures: int
    skips: int


class Said(NamedTuple):
    """What the last failure of a test in one run and variant said.

    Attributes:
        step: The run, an index of `WindowReader.runs`.
        type: None where unknown …
        message: … likewise …
        place: … likewise.
    """

    step: int
    type: str | None
    message: str | None
    place: str | None


Key = tuple[str, str, str]
"""Project, test id and variant."""


class Watched(NamedTuple):
    """What is known of the tests that were named.

    Attributes:
        known: Project and id of those that the store has ever seen, in order.
        seen: What became of each test and variant in the window's runs, the oldest first.
        said: What its failures said, the oldest first; no key without a message.
    """

    known: list[tuple[str, str]]
    seen: dict[Key, list[Seen]]
    said: dict[Key, list[Said]]


def watched(rows: Rows, names: list[str]) -> Watched:
    """Look at tests by their ids, or by their ids without parameters.

    Args:
        rows: Runs a statement; the tables of `windowed` are there.
        names: Ids and families, each once.
    """
    rows(_NAMED, names)
    seen: dict[Key, list[Seen]] = {}
    for project, test_id, variant, *one in rows(_SEEN):
        seen.setdefault((project, test_id, variant), []).append(Seen(*one))
    said: dict[Key, list[Said]] = {}
    for project, test_id, variant, *one in rows(_TEXTS):
        said.setdefault((project, test_id, variant), []).append(Said(*one))
    return Watched([(project, test_id) for project, test_id in rows(_KNOWN)], seen, said)

"""Keep a baseline by hand: show it, freeze it, compare with it, reset it.

`testlytics gate` chooses its baseline anew for each run, which forgets slowly: what gets worse a
little with every change is never worse than yesterday. A frozen baseline stays what it was. It is a
JSON file that can be reviewed: of each test the usual duration and whether it passed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from testlytics import api
from testlytics.config import default_store
from testlytics.report.render import visible
from testlytics.report.sections import percent, seconds
from testlytics_collector.errors import Error, NotFoundError
from testlytics_collector.store.reader import Window

SCHEMA = 1
FILE = Path("testlytics-baseline.json")
LEAST_RUNS = 5
"""A duration of fewer runs says too little to be compared."""

FLOOR_S = 0.005
"""A change of fewer seconds matters to nobody."""

Key = tuple[str, str, str]


class Level(NamedTuple):
    """What is kept of a test.

    Attributes:
        median_s: Its usual duration in seconds; None where it never passed.
        samples: In how many runs it passed.
        status: `flaky`, `broken`, or None where it is neither.
    """

    median_s: float | None
    samples: int
    status: str | None


class Baseline(NamedTuple):
    """Where tests stood.

    Attributes:
        chosen: How it was chosen: `runs` it is of, when it was frozen, and of which runs and
            commits.
        tests: By project, test id and variant.
    """

    chosen: Mapping[str, Any]
    tests: Mapping[Key, Level]


class WrongFileError(Exception):
    """The file is none of a baseline; the message says why."""


def look(store: Path, last: int) -> Baseline:
    """Look where the tests of the newest runs stand.

    Raises:
        NotFoundError: There is no store, or no run in it.
        StoreError: It cannot be opened or read.
    """
    told = api.report(store, Window(last=last), sections=["slowest", "flaky", "broken"])
    lists = {section.name: section.rows for section in told.sections}
    status = {_key(row): name for name in ("flaky", "broken") for row in lists[name]}
    levels = {
        _key(row): Level(row["median_s"], row["samples"], status.pop(_key(row), None))
        for row in lists["slowest"]
    }
    levels |= {key: Level(None, 0, name) for key, name in status.items()}
    summary = told.summary
    chosen = {name: summary[name] for name in ("runs", "first_run_at", "last_run_at")}
    return Baseline(chosen | {"to_commit": summary["last_commit"]}, levels)


def _key(row: Mapping[str, Any]) -> Key:
    return row["project"], row["test_id"], row["variant"]


def as_json(baseline: Baseline) -> str:
    """Write a baseline: a line for each test, in order, so that a difference can be read."""
    lines = [
        json.dumps(
            dict(zip(("project", "test_id", "variant"), key, strict=True)) | level._asdict(),
            allow_nan=False,
        )
        for key, level in sorted(baseline.tests.items())
    ]
    head = json.dumps({"schema": SCHEMA, **baseline.chosen}, allow_nan=False)
    return f'{head[:-1]}, "tests": [\n' + ",\n".join(lines) + "\n]}\n"


def read(path: Path) -> Baseline:
    """Read what `freeze` wrote.

    Raises:
        WrongFileError: It is not there, or is something else.
    """
    try:
        document = json.loads(path.read_bytes())
        schema, rows = document.pop("schema"), document.pop("tests")
        tests = {_key(row): Level(*(row[name] for name in Level._fields)) for row in rows}
    except OSError as error:
        raise WrongFileError(f"{path}: {error.strerror}; freeze one first") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WrongFileError(f"{path} is no baseline: {error!r}") from error
    if schema != SCHEMA:
        raise WrongFileError(f"{path} has schema {schema!r}, not {SCHEMA}")
    return Baseline(document, tests)


def compare(before: Baseline, now: Baseline, ratio: float) -> tuple[list[str], list[str]]:
    """Compare two baselines.

    Args:
        before: The frozen one.
        now: Where tests stand.
        ratio: From which ratio on a duration is another one; above 1.

    Returns:
        What got worse, and what else changed, a line each.
    """
    worse: list[str] = []
    other: list[str] = []
    for key, level in sorted(now.tests.items()):
        old = before.tests.get(key)
        name = key[1] + (f" ({key[2]})" if key[2] else "")
        if old is None:
            other.append(f"new: {name}")
            continue
        if level.status != old.status:
            line = f"{old.status or 'neither flaky nor broken'} -> {level.status or 'mended'}"
            (worse if level.status else other).append(f"{line}: {name}")
        change = _change(old, level, ratio)
        if change:
            line = f"{seconds(old.median_s)} -> {seconds(level.median_s)} ({change:+.0%}): {name}"
            (worse if change > 0 else other).append(line)
    gone = sorted(set(before.tests) - set(now.tests))
    return worse, [*other, *(f"gone: {key[1]}" for key in gone)]


def _change(old: Level, new: Level, ratio: float) -> float:
    """Return by which share a duration changed; 0 where that says nothing."""
    if not old.median_s or not new.median_s or min(old.samples, new.samples) < LEAST_RUNS:
        return 0.0
    times = new.median_s / old.median_s
    matters = abs(new.median_s - old.median_s) >= FLOOR_S
    return times - 1 if matters and (times >= ratio or times <= 1 / ratio) else 0.0


def show(given: argparse.Namespace) -> int:
    """Say what is frozen, and since when."""
    kept = read(given.file)
    statuses = [level.status for level in kept.tests.values() if level.status]
    usual = sum(level.median_s or 0.0 for level in kept.tests.values())
    when = kept.chosen.get("frozen_at", "at an unknown time")
    commit = str(kept.chosen.get("to_commit"))[:8]
    _say(f"{len(kept.tests)} tests, {seconds(usual)} in all, frozen {when} at commit {commit}")
    _say(f"of {kept.chosen.get('runs')} runs; {len(statuses)} were flaky or broken then")
    return 0


def freeze(given: argparse.Namespace) -> int:
    """Write down where the tests of the newest runs stand."""
    if given.file.exists() and not given.replace:
        _say(f"{given.file} is there already: --replace it, or reset first")
        return 2
    now = look(given.store, given.last)
    chosen = {**now.chosen, "frozen_at": datetime.now(UTC).isoformat(timespec="seconds")}
    given.file.write_text(as_json(Baseline(chosen, now.tests)), encoding="utf-8")
    _say(f"{given.file}: {len(now.tests)} tests of {now.chosen['runs']} runs")
    return 0


def compared(given: argparse.Namespace) -> int:
    """Say what got worse since; exit code 1 where something did."""
    before, now = read(given.file), look(given.store, given.last)
    worse, other = compare(before, now, given.ratio)
    for line in (*(f"worse  {one}" for one in worse), *(f"       {one}" for one in other)):
        _say(line)
    share = percent(len(worse) / len(now.tests)) if now.tests else "0 %"
    _say(f"{len(worse)} of {len(now.tests)} tests got worse ({share}), {len(other)} other changes")
    return 1 if worse else 0


def reset(given: argparse.Namespace) -> int:
    """Remove the baseline."""
    read(given.file)  # never remove what is no baseline
    given.file.unlink()
    _say(f"{given.file} is removed")
    return 0


def _say(text: str) -> None:
    print(visible(text))


def _ratio(text: str) -> float:
    value = float(text)
    if not 1 < value < 1e9:
        raise argparse.ArgumentTypeError("a ratio is above 1")
    return value


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("at least one run")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--file", type=Path, default=FILE, help=f"the baseline ({FILE})")
    asking = argparse.ArgumentParser(add_help=False, parents=[shared])
    asking.add_argument("--store", type=Path, help="the store's file (the project's)")
    asking.add_argument("--last", type=_count, default=20, help="newest runs (20)")
    commands = parser.add_subparsers(required=True)
    steps: dict[str, tuple[Callable[[argparse.Namespace], int], argparse.ArgumentParser]] = {
        "show": (show, shared),
        "freeze": (freeze, asking),
        "compare": (compared, asking),
        "reset": (reset, shared),
    }
    made = {}
    for name, (step, options) in steps.items():
        text = (step.__doc__ or "").strip()
        made[name] = commands.add_parser(name, parents=[options], help=text, description=text)
        made[name].set_defaults(step=step)
    made["freeze"].add_argument("--replace", action="store_true", help="write over the one there")
    made["compare"].add_argument(
        "--ratio", type=_ratio, default=1.25, help="from which on a test got slower (1.25)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code, as `testlytics` has them."""
    given = _parser().parse_args(arguments)
    if "store" in given:
        given.store = given.store or default_store()
    step: Callable[[argparse.Namespace], int] = given.step
    try:
        return step(given)
    except WrongFileError as error:
        code = 2
        text = str(error)
    except Error as error:
        code = 5 if isinstance(error, NotFoundError) else 3
        text = str(error)
    except OSError as error:
        code, text = 3, f"{error.filename}: {error.strerror}"
    sys.stderr.write(visible(text) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())

"""Loads a service of its own with virtual users, and says what it reached and what limits it.

Exit code 1 where a target is missed, or something got worse than in the loads before (--gate).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.accuracy.table import Table
from scripts.load import kept, kills, report, stored, targets
from scripts.load.clients import ROOT, clients
from scripts.load.console import live
from scripts.load.measured import Measured, bottlenecks, figures
from scripts.load.scenarios import SCENARIOS, Scenario, seconds_of
from scripts.load.serving import Watch, make_tokens, serving

KILLS = "kills"
TARGETS = ROOT / "tests" / "load" / "targets.toml"
_LATE_S = 120.0
_LOOK_S = 0.5


def load(name: str, scenario: Scenario, folder: Path, prefix: Path) -> Measured:
    """Load a service with a scenario, and end it.

    Args:
        name: Of the scenario.
        scenario: What to do.
        folder: Empty; where the store goes.
        prefix: How the files with what was seen begin.

    Raises:
        RuntimeError: The service or the clients did not run, or did not end in time.
    """
    store = folder / "history.duckdb"
    tokens, admin = make_tokens(store)
    with serving(store, admin) as service, Watch(service) as watch:
        watched_s = began_s = time.time()
        end = time.monotonic() + scenario.seconds + _LATE_S
        with clients(name, scenario, service.port, tokens, prefix) as users:
            with live(name, users, watch) as show:
                while not users.is_done() and time.monotonic() < end:
                    time.sleep(_LOOK_S)
                    show()
            if users.process.poll() != 0:
                log = prefix.with_name(f"{prefix.name}_locust.log").read_text()
                raise RuntimeError(f"The clients did not end as they should:\n{log[-4000:]}")
        if service.end() != 0:
            raise RuntimeError(f"The service ended with code {service.process.returncode}.")
    moments, acknowledged = users.moments(), users.acknowledged()
    broken = stored.compare(store, {one.run_id: one.results for one in acknowledged})
    return Measured(
        name=name,
        scenario=scenario,
        began_s=users.began_s or began_s,
        watched_s=watched_s,
        moments=moments,
        entries=users.entries(),
        failures=users.failures(),
        acknowledged=acknowledged,
        samples=watch.samples,
        clients_cpu_s=users.cpu_s,
        broken=broken,
    )


def measure(given: argparse.Namespace, folder: Path, prefix: Path) -> tuple[list[Table], bool]:
    """Run a scenario of Locust; return what is told, and whether all is as it should be."""
    scenario = SCENARIOS[given.scenario]
    scenario = scenario._replace(
        seconds=given.duration or scenario.seconds, users=given.users or scenario.users
    )
    one = load(given.scenario, scenario, folder, prefix)
    found = figures(one)
    verdicts = targets.check(targets.read(given.targets, given.scenario), found)
    told = report.tables(one, found, verdicts, bottlenecks(one, found))
    report.write_csv(one, found, prefix)
    page = prefix.with_name(f"{prefix.name}.html")
    page.write_text(report.html(one, told), encoding="utf-8")
    is_good = all(verdict.kept for verdict in verdicts)
    if given.keep is None:
        return told, is_good
    run_id = f"{given.scenario}-{time.time_ns() // 1_000_000}"
    statistics = prefix.with_name(f"{prefix.name}_stats.json")
    kept.keep(statistics, given.keep, given.scenario, run_id)
    worse = kept.worse(given.keep, given.scenario, run_id)
    for line in worse:
        print(f"worse: {line}", file=sys.stderr)
    return told, is_good and not (worse and given.gate)


def kill(given: argparse.Namespace, folder: Path) -> tuple[list[Table], bool]:
    """Kill the service many times; return what is told, and whether all is as it should be."""
    tally = kills.run(folder, kills=given.kills, seed=given.seed)
    verdicts = targets.check(targets.read(given.targets, KILLS), tally.figures())
    rows = [(name, report.number(value)) for name, value in tally.figures().items()]
    table = Table(
        "Kills under load",
        ("figure", "value"),
        rows,
        f"Eight clients upload and try again, and the service is killed {given.kills} times.",
        [one.text for one in verdicts if not one.kept] + tally.wrong,
    )
    return [table], not table.missed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.load", description=__doc__)
    parser.add_argument("scenario", choices=[*SCENARIOS, KILLS])
    parser.add_argument("--duration", type=seconds_of, help="how long: 90, 30m, 4h")
    parser.add_argument("--users", type=int, help="virtual users at most")
    parser.add_argument("--kills", type=int, default=100, help="how many (kills only)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (kills only)")
    parser.add_argument("--folder", type=Path, default=ROOT / ".benchmarks" / "load")
    parser.add_argument("--targets", type=Path, default=TARGETS, help="what must be reached")
    parser.add_argument("--keep", type=Path, help="also ingest it into this store, and judge it")
    parser.add_argument("--gate", action="store_true", help="exit code 1 where it got worse")
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    prefix = given.folder.resolve() / given.scenario
    for left in given.folder.glob(f"{given.scenario}[_.]*"):
        left.unlink()
    with tempfile.TemporaryDirectory(prefix="load-") as work:
        if given.scenario == KILLS:
            told, is_good = kill(given, Path(work))
        else:
            told, is_good = measure(given, Path(work), prefix)
    text = "\n\n".join(table.markdown() for table in told)
    prefix.with_name(f"{prefix.name}.md").write_text(f"{text}\n", encoding="utf-8")
    print(text)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())

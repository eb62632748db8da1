"""What accuracy is held against: the ceiling, installed packages, real histories, the cost."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from scripts.accuracy import __main__ as accuracy
from scripts.accuracy import cost, installed_rivals, real_outcomes, scan_libraries
from scripts.accuracy.installed_rivals import Asked, Questions, scored
from scripts.accuracy.outcome_data import WORTH, Shape, simulate
from scripts.accuracy.outcome_oracle import known
from scripts.accuracy.outcome_scores import ORACLE, OURS, Figures, figures_of, judged_suite
from scripts.accuracy.outcomes import as_tables

RIVALS = Path(installed_rivals.__file__).parent / "rivals"


@pytest.fixture(scope="module")
def run() -> ModuleType:
    """Load the program that runs in the environment of a package."""
    spec = importlib.util.spec_from_file_location("rivals_run", RIVALS / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_who_knows_the_simulator_is_right_as_often_as_said() -> None:
    shape = Shape(tests=1500, commits=50, flaky=0.3, breaking=0.3)
    suite = simulate(4, shape)
    told = known(suite, shape, [(test.letters, test.tries) for test in suite.tests])
    expected = sum(one.at_least for one in told)
    spread = sum(one.at_least * (1 - one.at_least) for one in told) ** 0.5
    found = sum(test.rate >= WORTH for test in suite.tests)
    assert abs(found - expected) < 3 * spread
    last = len(suite.runs) - 1
    ill = [one.broken[last] for one in told]
    spread = sum(chance * (1 - chance) for chance in ill) ** 0.5
    assert abs(sum(last in test.broken for test in suite.tests) - sum(ill)) < 3 * spread


def test_the_ceiling_of_what_never_flakes_and_never_breaks_is_certainty() -> None:
    shape = Shape(tests=50, commits=30, flaky=0.0, breaking=1.0, outages=0.0)
    suite = simulate(1, shape)
    for one, test in zip(
        known(suite, shape, [(test.letters, test.tries) for test in suite.tests]),
        suite.tests,
        strict=True,
    ):
        assert one.at_least == 0
        assert all(
            one.broken[at] == pytest.approx(1) for at in test.broken if test.letters[at] == "F"
        )


def test_the_ceiling_stands_in_the_tables() -> None:
    figures = figures_of(judged_suite(3, Shape(tests=300, commits=60)), small=False)
    assert figures["trust/ceiling"] <= figures["trust/brier"] + 0.02
    assert figures[f"rank/{ORACLE}/ap"] > 0.5
    tables = as_tables({"retries": [figures]}, tests=300)
    assert [table.rows[0][0] for table in tables[:1]] == [ORACLE]
    assert ORACLE in {row[1] for row in tables[3].rows}


def test_a_miss_names_the_ceiling() -> None:
    figures: Figures = figures_of(judged_suite(3, Shape(tests=300, commits=60)), small=False)
    figures |= {f"rank/{OURS}/ap": 0.5, f"rank/{ORACLE}/ap": 0.6}
    missed = as_tables({"retries": [figures]}, tests=300)[0].missed
    assert "retries: average precision 0.5000, not 0.983; the ceiling is 0.6000." in missed


def test_only_a_recent_rise_is_an_alarm(run: ModuleType) -> None:
    values = np.zeros(150)
    values[100:] = 0.2
    assert run.rises(values, [100])
    assert not run.rises(-values, [100])
    assert not run.rises(values / 10, [100])
    assert not run.rises(np.roll(values, -30), [70])
    assert not run.rises(values, [0, 150])


def test_answers_are_counted_once_in_a_while_and_steps_once() -> None:
    asked = [Asked(0.0, 1, -1, at) for at in (30, 35, 95, 100)]
    asked += [Asked(0.2, 2, 110, at) for at in (110, 115, 120)]
    asked += [Asked(0.2, 3, 110, 115)]
    score = scored(asked, [True, True, True, False, False, True, True, False])
    assert (score.alarms, score.values) == (2, 20)
    assert (score.recall(0.2), score.delay(0.2)) == (0.5, 6)


def test_a_package_that_is_not_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed_rivals, "python_of", lambda _: Path("/nowhere/python"))
    assert installed_rivals.ask("asv", Questions()) == (
        "asv is not installed: make accuracy-rivals."
    )


def test_a_package_that_breaks_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed_rivals, "python_of", lambda _: Path(sys.executable))
    made = Questions([Asked(0.0, 1, -1, 30)], [np.zeros(150, np.float32)], [False])
    said = installed_rivals.ask("ruptures", made)
    assert said == "ruptures did not run: ModuleNotFoundError: No module named 'ruptures'."


def test_each_package_has_its_versions(run: ModuleType) -> None:
    assert set(run.PACKAGES) == set(installed_rivals.PACKAGES)
    for name in installed_rivals.PACKAGES:
        lines = (RIVALS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        assert all(line.count("==") == 1 for line in lines)
        assert {name, "numpy"} <= {line.partition("==")[0] for line in lines}


def test_real_histories_are_cut_where_the_past_ends() -> None:
    tests = [{0: False, 1: True, 4: False, 5: True, 6: False}, {0: False}, {5: True}]
    past = real_outcomes.cut(tests, 4)
    assert list(past.tests) == [([0, 1], "PF")]
    assert list(past.later) == [True]


def test_a_real_history_has_a_future() -> None:
    [table] = real_outcomes.tables(seeds=1, small=True)
    figures = {row[0]: [float(cell) for cell in row[1:]] for row in table.rows}
    assert all(0 < one <= 1 for row in figures.values() for one in row)
    assert figures["flip rate"] != figures["failure rate"]


def test_facts_become_the_histories_that_they_came_from() -> None:
    suite = simulate(2, Shape(tests=200, commits=40))
    told = {int(one.history.test_id): one for one in cost.histories(cost.facts_of(suite))}
    assert len(told) == suite.size
    assert [told[row].history.verdicts for row in range(len(suite.tests))] == [
        test.letters for test in suite.tests
    ]
    assert [told[row].tries for row in range(len(suite.tests))] == [
        list(test.tries) for test in suite.tests
    ]


def test_both_libraries_find_the_same() -> None:
    values = scan_libraries.made(50)
    frame = scan_libraries.framed(values)
    found = scan_libraries.with_numpy(values)
    assert found == pytest.approx(scan_libraries.with_polars(frame), rel=1e-3)
    assert found[::10].min() > np.median(found)


def test_a_part_that_was_not_measured_again_stays_on_the_page(tmp_path: Path) -> None:
    page, folder = tmp_path / "page.md", tmp_path / "kept"
    folder.mkdir()
    (folder / "outcomes.md").write_text("## A\n\nold", encoding="utf-8")
    (folder / "cost.md").write_text("## B\n\nof now", encoding="utf-8")
    accuracy.update(folder, page)
    first = page.read_text(encoding="utf-8")
    (folder / "outcomes.md").write_text("## A\n\nnew", encoding="utf-8")
    (folder / "cost.md").unlink()
    accuracy.update(folder, page)
    assert page.read_text(encoding="utf-8") == first.replace("old", "new")
    assert list(accuracy.parts_of(first)) == ["outcomes", "cost"]


def test_the_published_page_is_made_of_parts() -> None:
    text = accuracy.PAGE.read_text(encoding="utf-8")
    assert set(accuracy.parts_of(text)) <= set(accuracy.PARTS)
    assert {"outcomes", "durations"} <= set(accuracy.parts_of(text))

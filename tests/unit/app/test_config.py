"""Where things are by default, and the values people type."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from testlytics.cli._options import instant_us, variant_pairs
from testlytics.config import default_store, project_root, settings
from testlytics_collector.errors import ConfigError

NOW = datetime(2026, 2, 10, tzinfo=UTC)
KNOWN = {"report": frozenset({"store", "last"}), "ingest": frozenset({"store", "run_id"})}


def test_root_is_the_nearest_folder_that_looks_like_one(tmp_path: Path) -> None:
    deep = tmp_path / "src" / "deep"
    deep.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    assert project_root(deep) == tmp_path
    (tmp_path / "src" / ".git").mkdir()
    assert project_root(deep) == tmp_path / "src"


def test_default_store_is_short_below_the_work_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    assert default_store() == Path(".testlytics/history.duckdb")


def test_settings_of_a_command_win_over_shared_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.testlytics]\nstore = "a"\nrun-id = "r"\n[tool.testlytics.report]\nstore = "b"\n'
    )
    monkeypatch.chdir(tmp_path)
    assert settings(KNOWN) == {
        "report": {"store": "b"},
        "ingest": {"store": "a", "run_id": "r"},
    }


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31", "2026-01-31T00:00:00+00:00"),
        ("2026-01-31T12:00+02:00", "2026-01-31T10:00:00+00:00"),
        ("36h", "2026-02-08T12:00:00+00:00"),
        ("2w", "2026-01-27T00:00:00+00:00"),
    ],
)
def test_instants(text: str, moment: str) -> None:
    expected = int(datetime.fromisoformat(moment).timestamp() * 1_000_000)
    assert instant_us(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "soon", "30", "d", "-3d", "2026-13-01"])
def test_wrong_instants_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--since"):
        instant_us(text, NOW)


def test_variant_pairs() -> None:
    assert variant_pairs(["os=linux", "db= pg=15 "]) == {"os": "linux", "db": "pg=15"}
    for wrong in (["os"], ["=x"], ["a=1", "a=2"]):
        with pytest.raises(ConfigError, match="--variant"):
            variant_pairs(wrong)

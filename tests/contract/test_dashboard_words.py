"""What pages of the dashboard say of a failure."""

from __future__ import annotations

from pathlib import Path

from tests.dashboards import page
from tests.serving import serving

JUNIT = b"""<testsuite name="s"><testcase classname="shop.TestPay" name="test_cash" time="0.1">
<failure type="AssertionError" message="AssertionError: no cash">at x.py:1</failure>
</testcase></testsuite>"""


def test_a_failure_says_its_type_once(tmp_path: Path) -> None:
    with serving(tmp_path / "h.duckdb") as service:
        assert service.upload(JUNIT, "run_id=r&project=shop").status == 201
        for path in ("/run?project=shop&run=r", "/test?project=shop&test=test_cash"):
            text = page(service, path).text
            assert "AssertionError: no cash" in text, path
            assert "AssertionError: AssertionError" not in text, path

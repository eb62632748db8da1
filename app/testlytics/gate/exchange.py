"""A gate's answer for other programs: JUnit XML and SARIF."""

from __future__ import annotations

import json
from typing import Any

from testlytics import __version__
from testlytics.gate.findings import BLOCK, KINDS, Finding, GateResult
from testlytics.gate.github import located
from testlytics.gate.render import context_lines
from testlytics.report.render import visible

_SARIF_RESULTS = 5_000
"""GitHub shows so many."""


def as_junit(result: GateResult) -> bytes:
    """Write a testcase for each finding: those that block have failed, the others passed."""
    from junitparser import Failure, JUnitXml, TestCase, TestSuite

    suite = TestSuite("testlytics gate")
    for one in result.findings:
        name = visible(one.test_id or "the run")
        case = TestCase(f"{KINDS[one.kind][1]}: {name}", visible(one.variant) or "gate", 0)
        said = visible(one.reason)
        text = f"{said}\n{visible(one.message)}" if one.message else said
        if one.level == BLOCK:
            failure = Failure(said, one.kind)
            failure.text = text
            case.result = [failure]
        else:
            case.system_out = text
        suite.add_testcase(case)
    if not result.findings:
        suite.add_testcase(TestCase(f"gate {result.verdict}", "gate", 0))
    document = JUnitXml("testlytics")
    document.add_testsuite(suite)
    data: bytes = document.tostring()
    return data


def as_sarif(result: GateResult) -> str:
    """Write SARIF 2.1.0 (OASIS), for tools that take nothing else."""
    rules = [
        {
            "id": kind,
            "name": title,
            "shortDescription": {"text": title},
            "fullDescription": {"text": meaning},
        }
        for kind, (_, title, meaning) in KINDS.items()
    ]
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "testlytics",
                        "version": __version__,
                        "informationUri": "https://pypi.org/project/testlytics/",
                        "rules": rules,
                    }
                },
                "results": [_result(one) for one in result.findings[:_SARIF_RESULTS]],
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "properties": {
                            "verdict": result.verdict,
                            "about": [visible(line) for line in context_lines(result)],
                        },
                    }
                ],
            }
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _fingerprint(one: Finding) -> str:
    """Tell findings apart from run to run; a benchmark may be worse in several metrics."""
    metric = one.details.get("metric")
    return f"{one.kind}/{one.variant}/{one.test_id}" + (f"/{metric}" if metric else "")


def _result(one: Finding) -> dict[str, Any]:
    name = visible(one.test_id or "the run")
    told: dict[str, Any] = {
        "ruleId": one.kind,
        "ruleIndex": list(KINDS).index(one.kind),
        "level": "error" if one.level == BLOCK else "warning",
        "message": {"text": f"{name}: {visible(one.reason)}"},
        "partialFingerprints": {"testlytics/v1": _fingerprint(one)},
    }
    path, line = located(one)
    if path:
        place: dict[str, Any] = {"artifactLocation": {"uri": path}}
        if line:
            place["region"] = {"startLine": max(int(line), 1)}
        told["locations"] = [{"physicalLocation": place}]
    return told

"""Reads a gate's answer back from its JSON, which may come from somebody untrusted."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from testlytics.gate.findings import KINDS, Cause, Finding, GateResult, LegResult
from testlytics.gate.render import SCHEMA
from testlytics_collector.errors import InputError

MAX_BYTES = 16 << 20
"""A larger answer is not read: a run with ten thousand findings writes a third of it."""


class _Run(msgspec.Struct, frozen=True):
    project: str
    run_id: str
    commit: str | None
    branch: str | None
    pull_request: str | None
    complete: bool


class _Baseline(msgspec.Struct, frozen=True):
    branch: str | None
    runs: int
    from_commit: str | None
    to_commit: str | None
    change_runs: int


class _Leg(msgspec.Struct, frozen=True):
    variant: str
    tests: int
    passed: int
    failed: int
    flaky: int
    skipped: int
    baseline_runs: int
    needed_runs: int
    run_factor: float | None = None


class _Finding(msgspec.Struct, frozen=True):
    kind: str
    level: Literal["block", "warn"]
    test_id: str | None
    variant: str
    reason: str
    message: str | None = None
    details: dict[str, Any] = {}
    place: str | None = None


class _Cause(msgspec.Struct, frozen=True):
    text: str
    tests: list[str]
    failures: int
    first_run: str
    first_commit: str | None
    is_new: bool


class _Schema(msgspec.Struct, frozen=True):
    schema: int


class _Answer(_Schema, frozen=True):
    verdict: Literal["blocked", "passed", "not judged"]
    run: _Run
    baseline: _Baseline
    variants: list[_Leg]
    findings: list[_Finding]
    causes: list[_Cause]
    notes: list[str]
    measurements: int = 0


def read_result(data: bytes) -> GateResult:
    """Read what `render.as_json` wrote.

    Every value has to be of its type, and the verdict has to follow from the findings. Keys that
    are not known are passed over: a newer version of the same schema may have more.

    Args:
        data: The JSON, UTF-8.

    Raises:
        InputError: It is something else, too large, or of a newer schema.
    """
    if len(data) > MAX_BYTES:
        raise _wrong(f"it is larger than {MAX_BYTES >> 20} MiB")
    try:
        schema = msgspec.json.decode(data, type=_Schema).schema
        if schema != SCHEMA:
            raise InputError(
                f"The gate's answer has schema {schema}, this testlytics reads {SCHEMA}.",
                slug="gate-answer-newer",
                hint="Use one version of testlytics for both.",
            )
        answer = msgspec.json.decode(data, type=_Answer)
    except msgspec.MsgspecError as error:
        raise _wrong(str(error)) from error
    except (RecursionError, UnicodeDecodeError) as error:
        raise _wrong("it is no JSON that testlytics writes") from error
    unknown = sorted({one.kind for one in answer.findings} - set(KINDS))
    if unknown:
        raise _wrong(f"{unknown[0]!r} is nothing that a gate finds")
    result = _result(answer)
    if result.verdict != answer.verdict:
        raise _wrong(f"its verdict is {answer.verdict}, its findings say {result.verdict}")
    return result


def _result(answer: _Answer) -> GateResult:
    run, baseline = answer.run, answer.baseline
    return GateResult(
        project=run.project,
        run_id=run.run_id,
        commit=run.commit,
        branch=run.branch,
        pull_request=run.pull_request,
        complete=run.complete,
        baseline_branch=baseline.branch,
        baseline_runs=baseline.runs,
        baseline_from=baseline.from_commit,
        baseline_to=baseline.to_commit,
        change_runs=baseline.change_runs,
        legs=[LegResult(**msgspec.structs.asdict(leg)) for leg in answer.variants],
        findings=[Finding(**msgspec.structs.asdict(one)) for one in answer.findings],
        causes=[Cause(**msgspec.structs.asdict(one)) for one in answer.causes],
        notes=answer.notes,
        measurements=answer.measurements,
    )


def _wrong(why: str) -> InputError:
    return InputError(
        f"This is not a gate's answer: {why}.",
        slug="gate-answer-wrong",
        hint="Write it with: testlytics gate --output FILE",
    )

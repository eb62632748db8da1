"""Runs a composite action as GitHub's runner does: expressions, bash steps, a cache by branch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

NOTHING: Mapping[str, str] = {}
_TOKEN = re.compile(r"\s*(?:'((?:[^']|'')*)'|(&&|\|\||==|!=|!|\(|\))|(\d+)|([A-Za-z_][\w.-]*))")
_INSERT = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)


def load(path: Path) -> dict[str, Any]:
    """Read YAML 1.2, in which `on` is a word."""
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(path)
    return document


class Expression:
    """Evaluates what stands in `${{ }}`: names, texts, numbers, `!`, comparisons, and, or.

    Args:
        text: Without the braces.
        context: What names lead to; functions are values that can be called.
    """

    def __init__(self, text: str, context: Mapping[str, Any]) -> None:
        self._tokens = [match.groups() for match in _TOKEN.finditer(text)]
        assert not _TOKEN.sub("", text).strip(), f"not understood: {text}"
        self._context = context
        self._at = 0

    def value(self) -> Any:  # noqa: ANN401 - whatever it says
        found = self._either()
        assert self._at == len(self._tokens), self._tokens
        return found

    def _next(self, *wanted: str) -> str | None:
        if self._at < len(self._tokens) and self._tokens[self._at][1] in wanted:
            self._at += 1
            return str(self._tokens[self._at - 1][1])
        return None

    def _either(self) -> Any:  # noqa: ANN401
        left = self._both()
        while self._next("||"):
            right = self._both()
            left = left or right
        return left

    def _both(self) -> Any:  # noqa: ANN401
        left = self._equal()
        while self._next("&&"):
            right = self._equal()
            left = left and right
        return left

    def _equal(self) -> Any:  # noqa: ANN401
        left = self._single()
        while sign := self._next("==", "!="):
            right = self._single()
            left = (_text(left).lower() == _text(right).lower()) == (sign == "==")
        return left

    def _single(self) -> Any:  # noqa: ANN401
        if self._next("!"):
            return not self._single()
        if self._next("("):
            found = self._either()
            assert self._next(")")
            return found
        text, _, number, name = self._tokens[self._at]
        self._at += 1
        if text is not None:
            return text.replace("''", "'")
        return int(number) if number is not None else self._named(str(name))

    def _named(self, name: str) -> Any:  # noqa: ANN401
        found: Any = self._context
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        if self._next("("):
            assert self._next(")")
            return found()
        return found


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass
class Cache:
    """The cache of GitHub Actions: entries never change, a branch sees its own and the default's.

    Args:
        folder: Where entries are kept.
    """

    folder: Path
    entries: list[tuple[str, str, Path, str]] = field(default_factory=list)

    def save(self, scope: str, key: str, path: Path) -> None:
        if any(one[:2] == (scope, key) for one in self.entries) or not path.exists():
            return
        kept = self.folder / str(len(self.entries))
        (shutil.copytree if path.is_dir() else shutil.copy)(path, kept)
        self.entries.append((scope, key, kept, str(path)))

    def restore(self, scopes: list[str], key: str, prefix: str, path: Path) -> str | None:
        for scope in scopes:
            for one in reversed(self.entries):
                fits = one[1] == key or (prefix and one[1].startswith(prefix))
                if one[0] == scope and fits and one[3] == str(path):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if one[2].is_dir():
                        shutil.copytree(one[2], path, dirs_exist_ok=True)
                    else:
                        shutil.copy(one[2], path)
                    return one[1]
        return None


@dataclass
class Ran:
    """What a job left behind.

    Attributes:
        failed: Whether a step failed.
        codes: Exit codes of the bash steps, by id or name.
        outputs: Of the action.
        log: Standard output and error of all steps.
        summary: What all steps put into the job's summary.
        used: Other actions that were run: name and what they were given.
    """

    failed: bool = False
    codes: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""
    summary: str = ""
    used: list[tuple[str, dict[str, str]]] = field(default_factory=list)


class Runner:
    """A machine that runs the action of a folder in jobs, one after another.

    Args:
        action: The folder with `action.yml`.
        temp: The runner's temporary folder; the same in every job.
        work: The checkout.
        cache: What jobs leave to each other.
        env: What the job has in its environment.
    """

    def __init__(
        self, action: Path, temp: Path, work: Path, cache: Cache, env: Mapping[str, str] = NOTHING
    ) -> None:
        self._action, self._temp, self._work, self._cache = action, temp, work, cache
        self._document = load(action / "action.yml")
        self._env = env

    def run(self, inputs: Mapping[str, str], github: Mapping[str, Any]) -> Ran:
        """Run one job."""
        declared = self._document["inputs"]
        assert set(inputs) <= set(declared), set(inputs) - set(declared)
        ran = Ran()
        steps: dict[str, Any] = {}
        context: dict[str, Any] = {
            "github": {"action_path": str(self._action), "token": "", **github},
            "runner": {"temp": str(self._temp), "os": "Linux"},
            "steps": steps,
            "always": lambda: True,
            "cancelled": lambda: False,
            "success": lambda: not ran.failed,
            "failure": lambda: ran.failed,
        }
        context["inputs"] = {
            name: inputs.get(name, self._filled(_text(one.get("default")), context))
            for name, one in declared.items()
        }
        for number, step in enumerate(self._document["runs"]["steps"]):
            if not self._is_due(step, context, ran):
                continue
            if "uses" in step:
                self._use(step, context, ran)
            else:
                outputs = self._bash(step, context, ran, number)
                steps[step.get("id", str(number))] = {"outputs": outputs}
        ran.outputs = {
            name: self._filled(one["value"], context)
            for name, one in self._document["outputs"].items()
        }
        return ran

    @staticmethod
    def _is_due(step: Mapping[str, Any], context: Mapping[str, Any], ran: Ran) -> bool:
        text = _text(step.get("if", "success()")).strip()
        text = text.removeprefix("${{").removesuffix("}}").strip()
        if ran.failed and not re.search(r"\b(always|cancelled|success|failure)\(", text):
            return False
        return bool(Expression(text, context).value())

    @staticmethod
    def _filled(text: str, context: Mapping[str, Any]) -> str:
        return _INSERT.sub(lambda found: _text(Expression(found[1], context).value()), text)

    def _use(self, step: Mapping[str, Any], context: Mapping[str, Any], ran: Ran) -> None:
        name = step["uses"].partition("@")[0]
        given = {key: self._filled(_text(text), context) for key, text in step["with"].items()}
        ran.used.append((name, given))
        github = context["github"]
        scopes = [github["ref"], f"refs/heads/{github['base_ref'] or 'main'}"]
        known: dict[str, Callable[[], object]] = {
            "actions/cache/save": lambda: self._cache.save(
                scopes[0], given["key"], Path(given["path"])
            ),
            "actions/cache/restore": lambda: self._cache.restore(
                scopes, given["key"], given["restore-keys"], Path(given["path"])
            ),
        }
        known[name]()

    def _bash(
        self, step: Mapping[str, Any], context: Mapping[str, Any], ran: Ran, number: int
    ) -> dict[str, str]:
        assert step["shell"] == "bash"
        files = self._temp.parent / "files"
        shutil.rmtree(files, ignore_errors=True)
        files.mkdir()
        told = {name: files / name for name in ("OUTPUT", "ENV", "PATH", "STEP_SUMMARY")}
        for path in told.values():
            path.touch()
        (files / "script.sh").write_text(step["run"], encoding="utf-8")
        given = {name: self._filled(_text(v), context) for name, v in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(files / "script.sh")],
            cwd=self._work,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self._temp),
                "RUNNER_TEMP": str(self._temp),
                "GITHUB_ACTIONS": "true",
                "CI": "true",
                **self._env,
                **{f"GITHUB_{name}": str(path) for name, path in told.items()},
                **given,
            },
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        ran.codes[step.get("id") or step["name"]] = done.returncode
        ran.failed |= done.returncode != 0
        ran.log += done.stdout + done.stderr
        ran.summary += told["STEP_SUMMARY"].read_text(encoding="utf-8")
        for name in ("ENV", "PATH"):
            assert told[name].read_text(encoding="utf-8") == "", f"GITHUB_{name} was written"
        return dict(_outputs(told["OUTPUT"].read_text(encoding="utf-8")))


def _outputs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        assert equals, f"not name=value: {line}"
        yield name, value

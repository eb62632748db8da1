"""Sends the service hostile requests: half of them schemathesis makes from its OpenAPI document.

The other half is made up by `tests/hostile.py`. The service is the real one, in a process of its
own, with two projects and a token for one of them. The exit code is 1 where something came back
that must not (a server error, a traceback, data of the other project, an answer that is not as the
document says), or the service did not live on.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.hostile import judged, made_up, run, shapes, talk  # noqa: E402
from tests.serving import Serving, serving  # noqa: E402

SECRET = "secret-of-theirs-5d41402abc4b2a76"  # noqa: S105 - what must not be told
HOOKS = """
import schemathesis

@schemathesis.check
def tells_no_secrets(ctx, response, case):
    for mark in (b"%s", b"Traceback (most", b"/h.duckdb"):
        assert mark not in response.content, mark
"""
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_schema_conformance", "response_headers_conformance", "unsupported_method"),
    *("allow_header_conformance", "ignored_auth", "tells_no_secrets"),
)
STARTS = 60
"""Examples for each address at first; schemathesis sends more than that for some of them."""

FEW = 1_000


def made(store: Path, project: str | None, *scopes: str) -> str:
    """Make a token and return it."""
    whose = ("--all-projects",) if project is None else ("--project", project)
    options = [word for scope in scopes for word in ("--scope", scope)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "testlytics", "serve", "token", "create", str(project)),
            *("--store", str(store), *whose, *options),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


class Siege:
    """A service, and what was sent to it."""

    def __init__(self, service: Serving, mine: str, admin: str) -> None:
        self.service, self._mine, self._admin = service, mine, admin
        self.statuses: Counter[int] = Counter()
        self.problems: list[str] = []

    def answered(self) -> Counter[int]:
        """Return how many requests the service has answered, by status, as it counts them."""
        text = self.service.ask("/metrics", token=self._admin).body.decode()
        found: Counter[int] = Counter()
        for status, number in re.findall(
            r'^testlytics_requests_total\{.*status="(\d+)".*\} (\d+)', text, re.MULTILINE
        ):
            found[int(status)] += int(number)
        return found

    def by_schemathesis(self, program: Path, folder: Path, wanted: int, seed: int) -> int:
        """Let schemathesis send about as many requests as are wanted; return how many came."""
        (folder / "hooks.py").write_text(HOOKS % SECRET)
        before, sent, examples = self.answered(), 0, min(STARTS, max(wanted // 60, 1))
        # To cover every value of every parameter takes a thousand requests by itself.
        phases = "examples,coverage,fuzzing" if wanted > FEW else "examples,fuzzing"
        while sent < wanted and not self.problems:
            done = subprocess.run(
                [
                    *(program, "run", f"http://127.0.0.1:{self.service.port}/api/v1/openapi.json"),
                    *(
                        "--checks",
                        ",".join(CHECKS),
                        "--header",
                        f"Authorization: Bearer {self._mine}",
                    ),
                    *("--seed", str(seed), "--max-examples", str(examples), "--workers", "1"),
                    *("--phases", phases, "--suppress-health-check", "all"),
                    *("--warnings", "off", "--request-timeout", "60"),
                ],
                cwd=folder,
                env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(folder)},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                self.problems.append(f"schemathesis:\n{done.stdout[-6_000:]}{done.stderr[-2_000:]}")
            sent = self.answered().total() - before.total()
            seed += 1
        self.statuses += self.answered() - before
        return sent

    def made_up(self, wanted: int, seed: int) -> int:
        """Send what is made up, and what is wrong as HTTP; return how many that were."""
        dice = random.Random(seed)  # noqa: S311 - no secret
        bodies = [run(2), run(3, "main"), b"<testsuite><testcase name='other'/></testsuite>"]
        tokens = [*[self._mine] * 8, None, "tly_wrong", "a.b.c"]
        odd = list(shapes(self._mine).values())[: wanted // 10]
        for number in range(wanted):
            sent = odd.pop() if odd else made_up(dice, tokens, bodies)
            reply = judged(talk(self.service.port, sent), (SECRET.encode(), b"/h.duckdb"))
            self.statuses.update(reply.statuses)
            if reply.problem is not None:
                self.problems.append(f"request {number}: {reply.problem}: {sent[:2_000]!r}")
        return wanted

    def aftermath(self, theirs: str) -> None:
        """Look whether the service lives on, and what it said."""
        for path in ("/healthz", "/readyz"):
            if self.service.ask(path).status != 200:
                self.problems.append(f"{path} does not answer")
        if SECRET.encode() not in self.service.ask("/api/v1/runs", token=theirs).body:
            self.problems.append("the other project's data are gone")
        internal = [line for line in self.service.log() if line["event"] == "internal"]
        self.problems += [f"internal error: {line}" for line in internal]
        if self.service.end() != 0:
            self.problems.append("it did not end in order")


def main() -> int:
    """Send them, print what came back, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="how many in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--schemathesis", type=Path, required=True, help="its program")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="testlytics-") as name:
        folder = Path(name)
        store = folder / "h.duckdb"
        mine = made(store, "mine", "ingest", "read")
        theirs = made(store, "theirs", "ingest", "read")
        admin = made(store, None, "admin")
        with serving(store, "--rate", 10**6, "--burst", 10**6, "--max-body", 2) as service:
            siege = Siege(service, mine, admin)
            secret = run(1, SECRET, run_id=SECRET, variant={"os": SECRET}, ci=SECRET)
            for body, token in ((secret, theirs), (run(1), mine)):
                if service.upload(body, token=token).status != 201:
                    raise RuntimeError("the data to begin with cannot be uploaded")
            half = asked.requests // 2
            program = asked.schemathesis.resolve()
            drawn = siege.by_schemathesis(program, folder, half, asked.seed)
            drawn += siege.made_up(max(asked.requests - drawn, half), asked.seed)
            siege.aftermath(theirs)
    print(f"{drawn} hostile requests, answers by status:")
    for status, number in sorted(siege.statuses.items()):
        print(f"  {status}  {number}")
    print(*(siege.problems or ["nothing came back that must not"]), sep="\n")
    return 1 if siege.problems else 0


if __name__ == "__main__":
    sys.exit(main())

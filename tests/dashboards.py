"""A store with everything that pages show, and what is true of every page."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from urllib.parse import quote

from tests.command import command
from tests.factories import attempt, end, header, lines
from tests.html_pages import Element, faults, read
from tests.serving import Serving, serving

RUNS = 24
TAGS_OF_FORMS = {"form", "input", "button", "label", "datalist", "option", "dl", "dt", "dd", "pre"}
KINDS = "PPLPPPPPLPPPPPFPPLPPPPPP"

EVIL = "<b>evil</b> & sons"
HOSTILE = (
    "tests/<img src=x onerror=alert(1)>.py::test_</a><script>alert(1)</script>",
    "tests/a.py::test_\"quoted' &amp; {{7*7}} {% raw %}",
    "tests/a.py::test_=cmd|' /C calc'!A0",
    "tests/\u202egnp.py::test_\x1b[31mred",
    "tests/a.py::test_with space?&project=other#x[" + "long-" * 300 + "]",
)


def fill(folder: Path, project: str, names: tuple[str, ...] = (), runs: int = RUNS) -> Path:
    """Put a project into the store of a folder: flaky, broken, slower and calm tests.

    Args:
        folder: Where `h.duckdb` is, or will be.
        project: Its name.
        names: More tests, flaky ones.
        runs: How many runs, on two branches, in two variants.
    """
    made = folder / f"files-{project.encode().hex()}"
    made.mkdir()
    for number in range(runs):
        for os_ in ("linux", "mac"):
            rows = list(_attempts(number, os_, names))
            head = header(
                number * 2 + (os_ == "mac"),
                project=project,
                run_id=f"run-{number}",
                started_us=1_780_000_000_000_000 + number * 3_600_000_000,
                variant={"os": os_},
                sources={
                    "commit": f"{number:040x}",
                    "tree_sha": f"{number:040x}",
                    "dirty": False,
                    "branch": "main" if number % 6 else "feature/x",
                },
                upload_id=f"{project.encode().hex()[:20]:0<20}{number * 2 + (os_ == 'mac'):012x}",
            )
            ended = 1_780_000_000_000_000 + number * 3_600_000_000 + 60_000_000
            text = lines(head, *rows, end(len(rows), ended_us=ended, exit_status=int(number > 17)))
            (made / f"{number:03}-{os_}.jsonl").write_bytes(text)
    done = command("ingest", made, "--store", folder / "h.duckdb", cwd=folder)
    assert done.code == 0, done.err
    return folder / "h.duckdb"


@contextlib.contextmanager
def shown(folder: Path) -> Iterator[Serving]:
    """Serve two projects of the same tests, one of them with hostile names."""
    (folder / "pyproject.toml").touch()
    fill(folder, "shop")
    fill(folder, EVIL, HOSTILE, runs=12)
    with serving(folder / "h.duckdb", "--rate", 10_000, "--burst", 10_000) as one:
        yield one


def _attempts(number: int, os_: str, names: tuple[str, ...]) -> Iterator[dict[str, object]]:
    flaky = [f"tests/shop/test_pay.py::TestPay::test_flaky[{n}]" for n in range(3)]
    for at, name in enumerate([*flaky, *names]):
        letter = KINDS[(number + 5 * at) % len(KINDS)]
        tag = {"markers": {"owner": "@team/pay"}} if at == 0 else {}
        if letter in "FL":
            said = {"type": "TimeoutError", "message": f"no answer after {number} s\n{name}"}
            yield attempt(name, "failed", failure=said | {"place": "pay.py:7"}) | tag
        if letter in "PL":
            yield attempt(name, attempt=2 if letter == "L" else 1) | tag
    for n in range(2):
        bad = number > 17 and os_ == "linux"
        said = {"type": "AssertionError", "message": f"assert {number} == 0", "place": "a.py:3"}
        row = attempt(f"tests/shop/test_cart.py::test_broken_{n}", "failed" if bad else "passed")
        yield row | ({"failure": said} if bad else {})
    for n in range(30):
        noise = Random(f"{number} {os_} {n}").lognormvariate(0, 0.02)
        call_us = int((400_000 if n < 2 and number > 13 else 100_000) * noise)
        yield attempt(f"tests/api/test_calm.py::test_{n}", call_us=call_us)
    if number % 2:
        yield attempt("tests/api/test_calm.py::test_sometimes", "skipped")


def paths(project: str) -> list[str]:
    """Return an address of every page of a project that `fill` made."""
    which = f"project={quote(project, safe='')}"
    case = quote("tests/shop/test_pay.py::TestPay::test_flaky[0]", safe="")
    return [
        *(f"/{name}?{which}" for name in LISTS),
        f"/slowest?{which}&sort=p95",
        f"/tests?{which}&pattern=calm&sort=failures",
        f"/test?{which}&test={case}",
        f"/run?{which}&run=run-20",
        f"/compare?{which}&run=run-20&base=run-3",
    ]


LISTS = (
    *("project", "flaky", "broken", "regressions", "slowest", "failures", "runs", "tests"),
    *("measurements", "wall"),
)


def page(service: Serving, path: str, **more: str) -> Element:
    """Ask for a page that must be there and be without fault."""
    answer = service.ask(path, headers=more)
    assert answer.status == 200, (path, answer.body[:2_000])
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    root = read(answer.body.decode())
    assert problems(root) == [], path
    return root


def problems(root: Element) -> list[str]:
    """Return what is wrong with a page of the dashboard.

    The report's rules hold, but for what a site has and a file has not: links to its own pages,
    files of its own, forms, and more than one navigation.
    """
    found = [fault for fault in faults(root) if not _is_of_a_site(fault)]
    if not list(root.all("nav")):
        found.append("no <nav>")
    for one in root.all():
        for name in ("href", "src", "action"):
            value = one.attributes.get(name, "")
            is_own = value.startswith(("/", "#")) and not value.startswith("//")
            if value and not is_own and value != "data:,":
                found.append(f"{name} {value!r}")
        hidden = one.attributes.get("type") == "hidden"
        if one.tag == "input" and not hidden and not _is_named(root, one):
            found.append("an input without a name")
    return sorted(set(found))


def _is_named(root: Element, field: Element) -> bool:
    if field.attributes.get("aria-label"):
        return True
    labels = (label for label in root.all("label") if any(one is field for one in label.all()))
    return any(label.text.strip() for label in labels)


_OF_A_SITE = {
    "not one <nav>",
    "not one <script>",
    "not one <style>",
    "src of <script>",
    "action of <form>",
    *(f"<{tag}>" for tag in TAGS_OF_FORMS | {"small"}),
}


def _is_of_a_site(fault: str) -> bool:
    return fault in _OF_A_SITE or fault.startswith(("link to '/", "href '/", "not one <link>"))


class Tags(HTMLParser):
    """Counts the elements of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: set[tuple[str, ...]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.kinds.add((tag, *sorted(name for name, _ in attrs)))


def kinds(text: str) -> set[tuple[str, ...]]:
    """Return which elements with which attributes a page has."""
    reader = Tags()
    reader.feed(text)
    return reader.kinds

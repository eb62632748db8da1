"""The pages of the service over real HTTP: what is on them, as page and as data."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from testlytics.service.pages.menu import PAGES
from tests.dashboards import EVIL, HOSTILE, LISTS, RUNS, fill, kinds, page, paths, shown
from tests.factories import attempt, end, header, lines
from tests.html_pages import Element, read
from tests.serving import Serving, serving

ROOT = Path(__file__).parents[2]
SLOW = {f"tests/api/test_calm.py::test_{n}" for n in (0, 1)}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with shown(tmp_path_factory.mktemp("dashboard")) as one:
        yield one


def section(root: Element, name: str) -> Element:
    for one in root.all("section"):
        if one.attributes["aria-labelledby"] == name:
            return one
    raise AssertionError(name)


def data(service: Serving, path: str) -> dict[str, object]:
    answer = service.ask(f"{path}&format=json" if "?" in path else f"{path}?format=json")
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    told: dict[str, object] = json.loads(answer.body)
    assert told["schema"] == 1
    return told


def table(service: Serving, path: str) -> list[dict[str, str]]:
    answer = service.ask(f"{path}&format=csv" if "?" in path else f"{path}?format=csv")
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))


@pytest.mark.parametrize("path", ["/", "/wall", *paths("shop")])
def test_every_page_is_there_without_a_fault_and_as_data(service: Serving, path: str) -> None:
    root = page(service, path)
    assert root.text
    told = data(service, path)
    lists = [value for value in told.values() if isinstance(value, list)]
    assert lists
    rows = table(service, path)
    assert len(rows) == len(lists[0])
    shown = {one.attributes.get("href", "") for one in root.all("a")}
    assert any("format=json" in href for href in shown)
    assert any("format=csv" in href for href in shown)


def test_the_overview_leads_to_every_project(service: Serving) -> None:
    root = page(service, "/")
    links = {one.attributes["href"] for one in section(root, "projects").all("a")}
    links.discard("/project?project=news")  # of another test
    assert links == {f"/project?project={quote(name, safe='')}" for name in ("shop", EVIL)}
    rows = data(service, "/")["projects"]
    assert isinstance(rows, list)
    [shop] = [row for row in rows if row["project"] == "shop"]
    assert (shop["runs"], shop["failed"], shop["flaky"], shop["run_id"]) == (RUNS, 2, 0, "run-23")
    assert shop["took_s"] == 60


def test_the_health_of_a_project(service: Serving) -> None:
    root = page(service, "/project?project=shop")
    tiles = {one.text.split()[0]: one for one in section(root, "summary").all("li")}
    assert tiles["Broken"].text.split()[1] == "2"
    assert tiles["Flaky"].text.split()[1] == "6"
    assert tiles["Newest"].attributes["class"] == "bad"
    assert re.search(r"\+1[678] %", section(root, "duration").text)
    told = data(service, "/project?project=shop")
    runs = told["runs"]
    assert isinstance(runs, list)
    newest = runs[0]
    # 35 tests in each of two variants that passed or failed, two of them failed.
    assert (newest["run_id"], newest["failed"], newest["judged"]) == ("run-23", 2, 70)
    assert newest["pass_rate"] == pytest.approx(1 - 2 / 70)
    assert [row["retry_rate"] > 0 for row in runs[::-1][:4]] == [False, False, True, True]
    assert told["broken"] == 2


def test_flaky_tests_have_what_they_cost(service: Serving) -> None:
    rows = data(service, "/flaky?project=shop")["flaky"]
    assert isinstance(rows, list)
    assert {row["status"] for row in rows} == {"flaky"}
    costs = {(row["test_id"][-2], row["variant"]): row["lost_s"] for row in rows}
    assert len(costs) == 6
    # Where a job was green, a flake costs the attempt that failed: 0.1 s each.
    assert costs["0", "os=mac"] == pytest.approx(0.4)
    text = section(page(service, "/flaky?project=shop"), "flaky").text
    assert "400 ms" in text
    assert "@team/pay" in text
    api = service.ask("/api/v1/flaky?project=shop&last=50").json["flaky"]
    keys = ("test_id", "variant", "flake_rate", "grade")
    ours = [[row[key] for key in keys] for row in rows]
    assert ours == [[row[key] for key in keys] for row in api]


def test_filters_are_kept_in_links_and_choose(service: Serving) -> None:
    path = "/flaky?project=shop&variant=os%3Dmac&owner=%40team%2Fpay&last=24"
    rows = data(service, path)["flaky"]
    assert isinstance(rows, list)
    assert [(row["test_id"][-3:], row["variant"]) for row in rows] == [("[0]", "os=mac")]
    root = page(service, path)
    [menu] = [one for one in root.all("nav") if one.attributes["aria-label"] == "Pages"]
    for link in menu.all("a"):
        assert "variant=os%3Dmac" in link.attributes["href"]
        assert "owner=%40team%2Fpay" in link.attributes["href"]
    fields = [one.attributes for one in root.all("input")]
    assert [one["value"] for one in fields if one["name"] == "variant"] == ["os=mac", ""]
    # What a form sends of fields nobody filled in says nothing.
    blank = service.ask("/flaky?project=shop&branch=&variant=&since=&last=&owner=")
    assert blank.status == 200
    runs = data(service, "/runs?project=shop&branch=feature%2Fx")["runs"]
    assert isinstance(runs, list)
    assert {row["branch"] for row in runs} == {"feature/x"}
    assert len(runs) == RUNS // 6


def test_one_test_says_why(service: Serving) -> None:
    case = "tests/shop/test_pay.py::TestPay::test_flaky[0]"
    root = page(service, f"/test?project=shop&test={quote(case, safe='')}&variant=os%3Dmac")
    for text in ("proven", "Flake rate", "Evidence of a flake", "What failures said", "Usual now"):
        assert text in root.text, text
    drawn = [one.text for one in root.all("title")]
    assert any(text.startswith("24 runs: 20 passed") for text in drawn)
    assert any(text.startswith("Duration, 23 runs: from 100 ms to 100 ms") for text in drawn)
    assert any("band" in one.attributes.get("class", "") for one in root.all("path"))
    links = {one.attributes["href"].partition("?")[0] for one in root.all("a")}
    assert {"/run", "/cluster", "/flaky"} <= links
    slow = page(service, "/test?project=shop&test=tests%2Fapi%2Ftest_calm.py%3A%3Atest_0")
    assert re.search(r"\+(29|30)\d %", slow.text)


def test_one_run_and_its_neighbours(service: Serving) -> None:
    root = page(service, "/run?project=shop&run=run-20")
    hrefs = [one.attributes["href"] for one in root.all("a")]
    assert "/run?project=shop&run=run-19" in hrefs
    assert "/compare?project=shop&base=run-19&run=run-20" in hrefs
    told = data(service, "/run?project=shop&run=run-20")
    failures = told["failures"]
    assert isinstance(failures, list)
    assert {row["test_id"] for row in failures if row["verdict"] == "failed"} == {
        "tests/shop/test_cart.py::test_broken_0",
        "tests/shop/test_cart.py::test_broken_1",
    }


def test_two_runs_beside_each_other(service: Serving) -> None:
    told = data(service, "/compare?project=shop&run=run-20&base=run-3")
    totals = told["totals"]
    assert totals == {
        "new_failures": 2,
        "fixed": 0,
        "slower": 4,
        "faster": 0,
        "added": 0,
        "removed": 2,
        "still_failing": 0,
    }
    assert told["machine"] == pytest.approx(1, abs=0.02)
    back = data(service, "/compare?project=shop&run=run-3&base=run-20")["totals"]
    assert isinstance(back, dict)
    assert (back["fixed"], back["faster"], back["added"]) == (2, 4, 2)
    # Without another run it is the one before.
    near = data(service, "/compare?project=shop&run=run-20")["base"]
    assert isinstance(near, dict)
    assert near["run_id"] == "run-19"
    named = table(service, "/compare?project=shop&run=run-20&base=run-3&list=slower")
    assert {row["test_id"] for row in named} == SLOW


def test_failures_with_one_cause(service: Serving) -> None:
    rows = data(service, "/failures?project=shop")["failures"]
    assert isinstance(rows, list)
    assert [(row["failures"], row["tests"], row["runs"]) for row in rows[1:]] == [(12, 2, 6)]
    [broken] = rows[1:]
    told = data(service, f"/cluster?project=shop&cluster={broken['cluster']}")
    tests, runs = told["tests"], told["runs"]
    assert isinstance(tests, list)
    assert isinstance(runs, list)
    assert {row["test_id"][-8:] for row in tests} == {"broken_0", "broken_1"}
    assert [row["run_id"] for row in runs] == [f"run-{n}" for n in range(23, 17, -1)]
    root = page(service, f"/cluster?project=shop&cluster={broken['cluster']}")
    assert "assert 23 == 0" in section(root, "said").text


def test_slower_tests_stand_by_what_they_share(service: Serving) -> None:
    told = data(service, "/regressions?project=shop")
    rows, groups = told["regressions"], told["groups"]
    assert isinstance(rows, list)
    assert isinstance(groups, list)
    assert {row["test_id"] for row in rows} == SLOW
    assert len(groups) == 1
    assert "/test?" in next(
        one.attributes["href"]
        for one in section(page(service, "/regressions?project=shop"), "regressions").all("a")
    )


def test_a_search_finds_tests_page_by_page(service: Serving) -> None:
    told = data(service, "/tests?project=shop&pattern=calm")
    assert told["total"] == 62
    first = page(service, "/tests?project=shop&pattern=calm")
    assert "1 of 2" in first.text
    [href] = [one.attributes["href"] for one in first.all("a") if one.text == "Next page"]
    second = page(service, href)
    assert len(list(section(second, "tests").all("tbody"))) == 1
    assert len(list(next(section(second, "tests").all("tbody")).all("tr"))) == 12
    none = page(service, "/tests?project=shop&pattern=nowhere")
    assert "0 tests" in none.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/test?project=shop&test=nowhere.py%3A%3Atest_x", 404),
        ("/run?project=shop&run=run-999", 404),
        ("/run?project=shop", 404),
        ("/compare?project=shop&run=run-0", 404),
        ("/cluster?project=shop&cluster=0000", 404),
        ("/flaky?project=nobody", 404),
        ("/flaky?project=shop&branch=nowhere", 404),
        ("/flaky", 404),
        ("/nothing/here", 404),
        ("/flaky?project=shop&last=0", 400),
        ("/flaky?project=shop&since=tomorrow", 400),
        ("/flaky?project=shop&colour=red", 400),
        ("/flaky?project=shop&format=xml", 400),
        ("/flaky?project=shop&format=csv&list=nowhere", 400),
    ],
)
def test_what_is_not_there_has_a_page_with_a_way_back(
    service: Serving, path: str, status: int
) -> None:
    answer = service.ask(path, headers={"Accept": "text/html"})
    assert answer.status == status
    if "format=csv" in path:
        assert answer.slug == "http-parameter"
        return
    root = read(answer.body.decode())
    assert "/" in {one.attributes["href"] for one in root.all("a")}
    assert str(service.store.parent) not in answer.body.decode()
    assert "Traceback" not in answer.body.decode()
    as_data = service.ask(f"{path}{'&' if '?' in path else '?'}format=json")
    if "format=" not in path and "nothing" not in path:
        assert as_data.status == status
        assert as_data.slug


def test_programs_still_get_json_at_unknown_addresses(service: Serving) -> None:
    assert service.ask("/nothing").slug == "http-path"
    assert service.ask("/api/v1/nothing", headers={"Accept": "text/html"}).slug == "http-path"
    post = service.ask("/flaky?project=shop&format=json", method="POST", body=b"")
    assert (post.status, post.slug) == (405, "http-method")


@pytest.mark.parametrize("path", ["/", "/wall", *paths(EVIL)])
def test_nothing_of_the_data_becomes_an_element(service: Serving, path: str) -> None:
    answer = service.ask(path)
    if answer.status == 404:  # the shorter history of the two has no such run
        assert "run-20" in path
        path = path.replace("run-20", "run-9")
        answer = service.ask(path)
    assert answer.status == 200
    text = answer.body.decode()
    known = {kind for other in ["/", "/wall", *paths("shop")] for kind in _kinds(service, other)}
    assert kinds(text) <= known
    for sign in ("\u202e", "\x1b", "<b>evil", "<img", "alert(1)>.py::test_</a>"):
        assert sign not in text


_seen: dict[str, set[tuple[str, ...]]] = {}


def _kinds(service: Serving, path: str) -> set[tuple[str, ...]]:
    if path not in _seen:
        _seen[path] = kinds(service.ask(path).body.decode())
    return _seen[path]


def test_hostile_names_are_read_as_they_are(service: Serving) -> None:
    root = page(service, f"/flaky?project={quote(EVIL, safe='')}&variant=os%3Dmac")
    assert "{{7*7}} {% raw %}" in root.text
    assert "\\u202egnp.py" in root.text
    for one in section(root, "flaky").all("a"):
        page(service, one.attributes["href"])
    rows = table(service, f"/flaky?project={quote(EVIL, safe='')}")
    names = {row["test_id"] for row in rows}
    assert HOSTILE[1] in names
    formulas = table(service, f"/tests?project={quote(EVIL, safe='')}")
    cells = [cell for row in formulas for cell in row.values()]
    assert not [cell for cell in cells if cell[:1] in {"=", "+", "@", "\t"}]


def test_headers_let_a_page_reach_nothing_else(service: Serving) -> None:
    for path in ("/", "/project?project=shop", "/nothing"):
        answer = service.ask(path, headers={"Accept": "text/html"})
        rules = dict(
            rule.strip().split(" ", 1)
            for rule in answer.headers["content-security-policy"].split(";")
        )
        assert rules["default-src"] == "'none'"
        for name in ("style-src", "script-src", "connect-src", "form-action"):
            assert rules[name] == "'self'"
        assert rules["frame-ancestors"] == "'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        text = answer.body.decode()
        assert "<style" not in text
        assert " style=" not in text
        for one in read(text).all("script"):
            assert one.attributes["src"].startswith("/static/")
            assert one.text == ""
    files = [one.attributes["href"] for one in page(service, "/").all("link")]
    [style] = [href for href in files if href.endswith(".css")]
    answer = service.ask(style)
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    assert b"url(" not in answer.body
    assert service.ask("/static/0123/style.css").status == 404
    stamp = style.split("/")[2]
    assert service.ask(f"/static/{stamp}/..%2f..%2fsite.py").status == 404


def test_what_came_in_is_seen_at_once(service: Serving) -> None:
    before = service.ask("/version?project=news").json["version"]
    shop = service.ask("/version?project=shop").json["version"]
    for number in range(2):
        text = lines(header(900 + number, project="news"), attempt("a.py::test_new"), end(1))
        assert service.upload(text).status == 201
        assert f"run-{900 + number}" in page(service, "/runs?project=news").text
    after = service.ask("/version?project=news").json["version"]
    assert before != after
    # Nothing is said of others.
    assert service.ask("/version?project=shop").json["version"] == shop
    [main] = page(service, "/project?project=news").all("main")
    assert main.attributes["data-version"] == after
    assert main.attributes["data-live"] == "/version?project=news"


def test_head_is_answered_without_a_body(service: Serving) -> None:
    answer = service.ask("/project?project=shop", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")


def test_every_page_is_in_the_docs() -> None:
    text = (ROOT / "docs/how-to/dashboard.md").read_text(encoding="utf-8")
    assert {one.path for one in PAGES} == set(re.findall(r"`(/[a-z]*)`", text))


def test_an_empty_store_says_what_to_do(tmp_path: Path) -> None:
    with serving(tmp_path / "h.duckdb") as empty:
        for path in ("/", "/wall"):
            assert "Upload some" in page(empty, path).text
            assert table(empty, path) == []
        for name in LISTS[:-1]:
            assert empty.ask(f"/{name}", headers={"Accept": "text/html"}).status == 404


def test_the_only_project_needs_no_name(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    with serving(tmp_path / "h.duckdb") as one:
        body = lines(header(1, project="lone"), attempt("a.py::test_x"), end(1))
        assert one.upload(body).status == 201
        root = page(one, "/runs")
        assert "run-1" in root.text
        hrefs = [link.attributes["href"] for link in section(root, "runs").all("a")]
        assert hrefs == ["/run?project=lone&run=run-1"]


def test_a_copy_that_is_only_read_has_pages_too(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    fill(tmp_path, "shop", runs=3)
    with serving(tmp_path / "h.duckdb", "--read-only") as one:
        assert "run-2" in page(one, "/runs?project=shop").text
        fill(tmp_path, "other", runs=2)
        assert "other" in page(one, "/").text

"""The dashboard in a real browser: every page by its links, on a desk and on a phone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest

from testlytics.service.pages.menu import PAGES
from tests.browser import CHROMIUM, Browser, browser
from tests.command import command
from tests.dashboards import EVIL, paths, shown
from tests.factories import attempt, end, header, lines
from tests.serving import Serving, serving

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine's PATH")

SCREENS = [(1280, 900, "light"), (1280, 900, "dark"), (360, 740, "light"), (360, 740, "dark")]
EACH = 3
"""So many addresses of each page are looked at, with different questions."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with shown(tmp_path_factory.mktemp("dashboard")) as one:
        yield one


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


def is_quiet(chromium: Browser, origin: str) -> None:
    """Nothing complained, and nothing was asked for elsewhere."""
    urls = [one["request"]["url"] for one in chromium.said("Network.requestWillBeSent")]
    assert [url for url in urls if not url.startswith((f"{origin}/", "data:"))] == []
    assert chromium.said("Log.entryAdded") == []
    assert chromium.said("Runtime.consoleAPICalled") == []
    assert chromium.said("Runtime.exceptionThrown") == []


def links(chromium: Browser) -> list[str]:
    found: list[str] = chromium.ask("[...document.links].map(one => one.getAttribute('href'))")
    return found


def test_every_page_is_reached_by_links_from_the_overview(
    chromium: Browser, service: Serving
) -> None:
    origin = f"http://127.0.0.1:{service.port}"
    chromium.open(f"{origin}/")
    seen: dict[str, set[str]] = {"/": {"/"}}
    waiting: list[tuple[str, str]] = [("/", href) for href in links(chromium)]
    here = "/"
    while waiting:
        source, href = waiting.pop(0)
        parts = urlsplit(href)
        known = seen.setdefault(parts.path, set())
        is_data = "format" in dict(parse_qsl(parts.query))
        if not parts.path or is_data or href in known or len(known) >= EACH:
            continue
        known.add(href)
        if here != source:
            chromium.open(origin + source)
        # A click, as people do it, on the very link that is on the page.
        link = f"[...document.links].find(one => one.getAttribute('href') === {json.dumps(href)})"
        chromium.follow(f"{link}.click()")
        here = href
        assert chromium.ask("location.pathname + location.search") == href
        assert chromium.ask("document.querySelector('h1').textContent.trim()"), href
        is_quiet(chromium, origin)
        waiting += [(href, one) for one in links(chromium)]
    assert {one.path for one in PAGES} - seen.keys() == set()
    assert all(len(seen[one.path]) >= 2 for one in PAGES if one.path not in {"/", "/wall"})


def test_filters_and_search_work_without_a_script(chromium: Browser, service: Serving) -> None:
    origin = f"http://127.0.0.1:{service.port}"
    chromium.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        chromium.open(f"{origin}/flaky?project=shop")
        set_ = "document.querySelector('.filters [name=variant]').value = 'os=mac'"
        chromium.follow(f"{set_}; document.querySelector('.filters').requestSubmit()")
        assert chromium.ask("new URLSearchParams(location.search).get('variant')") == "os=mac"
        assert chromium.ask("document.querySelectorAll('tbody tr').length") == 3
        set_ = "document.querySelector('.search [type=search]').value = 'broken'"
        chromium.follow(f"{set_}; document.querySelector('.search').requestSubmit()")
        assert chromium.ask("location.pathname") == "/tests"
        assert chromium.ask("document.querySelectorAll('tbody tr').length") == 4
    finally:
        chromium.call("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize(("width", "height", "scheme"), SCREENS)
@pytest.mark.parametrize("project", ["shop", EVIL])
def test_it_fits_and_shows(
    chromium: Browser, service: Serving, width: int, height: int, scheme: str, project: str
) -> None:
    chromium.show(width, height, scheme)
    for path in ["/", "/wall", *paths(project)]:
        chromium.open(f"http://127.0.0.1:{service.port}{path.replace('run-20', 'run-9')}")
        assert chromium.ask("document.documentElement.scrollWidth") <= width, path
        wide = chromium.ask(
            "[...document.querySelectorAll('header *, main *')].filter(one =>"
            " !one.closest('.scroll') && !one.closest('svg') && !one.closest('.hidden')"
            f" && one.getBoundingClientRect().right > {width} + 1).map(one => one.outerHTML)"
        )
        assert wide == [], path
        small = chromium.ask(
            "[...document.querySelectorAll('nav a, .tiles a, .cards a, input, button, summary')]"
            ".filter(one => one.getBoundingClientRect().height"
            " && one.getBoundingClientRect().height < 24 && !one.closest('th'))"
            ".map(one => one.outerHTML)"
        )
        assert small == [], path  # WCAG 2.2, target size
        back = chromium.ask("getComputedStyle(document.documentElement).backgroundColor")
        parts = [int(part) for part in back.removeprefix("rgb(").removesuffix(")").split(",")]
        assert (sum(parts) > 3 * 128) == (scheme == "light")


def test_by_keyboard(chromium: Browser, service: Serving) -> None:
    chromium.show(1280, 900, "light")
    chromium.open(f"http://127.0.0.1:{service.port}/project?project=shop")
    chromium.press("Tab")
    assert chromium.ask("document.activeElement.className") == "skip"
    chromium.press("Enter")
    assert chromium.ask("location.hash") == "#main"
    chromium.press("Tab")
    assert chromium.ask("document.activeElement.closest('.tiles') !== null")
    assert chromium.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert chromium.ask(
        "[...document.querySelectorAll('.scroll')].every(one => one.tabIndex === 0)"
    )


def test_what_comes_in_is_shown_without_loading_the_page(
    chromium: Browser, service: Serving
) -> None:
    chromium.show(1280, 900, "light")
    first = lines(header(1, project="live", run_id="one"), attempt("a.py::test_x"), end(1))
    assert service.upload(first).status == 201
    chromium.open(f"http://127.0.0.1:{service.port}/runs?project=live")
    chromium.ask("window.untouched = true")
    assert chromium.ask("document.querySelectorAll('tbody tr').length") == 1
    for number, name in enumerate(("two", "three"), 2):
        more = lines(header(number, project="live", run_id=name), attempt("a.py::test_x"), end(1))
        assert service.upload(more).status == 201
    told = chromium.call(
        "Runtime.evaluate",
        awaitPromise=True,
        returnByValue=True,
        expression="new Promise(done => { const look = () =>"
        " document.querySelectorAll('tbody tr').length === 3 ? done(true) : setTimeout(look, 100);"
        " look(); })",
    )
    assert told["result"]["value"] is True
    assert chromium.ask("window.untouched") is True
    # The table of three can be put in another order, like any that was there from the start.
    chromium.call(
        "Runtime.evaluate",
        awaitPromise=True,
        expression="new Promise(done => { const look = () =>"
        " document.querySelector('th button') ? done(true) : setTimeout(look, 50); look(); })",
    )
    chromium.ask("document.querySelector('th button').click()")
    assert chromium.ask("document.querySelector('th').getAttribute('aria-sort')") == "descending"


def test_signing_in_and_out(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("tokens")
    store = folder / "h.duckdb"
    options = ("--all-projects", "--scope", "read", "--scope", "ingest")
    made = command("serve", "token", "create", "me", "--store", store, *options, cwd=folder)
    token = made.out.strip()
    with serving(store) as guarded:
        body = lines(header(1, project="p"), attempt("a.py::test_x"), end(1))
        assert guarded.upload(body, token=token).status == 201
        origin = f"http://127.0.0.1:{guarded.port}"
        chromium.open("about:blank")  # a page of another service may ask to the last
        chromium.open(f"{origin}/runs?project=p")
        assert chromium.ask("location.pathname") == "/login"
        is_quiet(chromium, origin)
        fill_in = f"document.querySelector('[name=token]').value = {json.dumps(token)}"
        chromium.follow(f"{fill_in}; document.querySelector('.login').requestSubmit()")
        assert chromium.ask("location.pathname + location.search") == "/runs?project=p"
        assert chromium.ask("document.querySelectorAll('tbody tr').length") == 1
        assert chromium.ask("document.cookie") == ""
        is_quiet(chromium, origin)
        chromium.follow("document.querySelector('.out').requestSubmit()")
        assert chromium.ask("location.pathname") == "/login"
        chromium.open(f"{origin}/runs?project=p")
        assert chromium.ask("location.pathname") == "/login"

"""The page in a real browser: as people see it, on a desk and on a phone, in light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.browser import CHROMIUM, Browser, browser
from tests.command import command
from tests.factories import history

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine's PATH")

LONG = "tests/with/a/rather/long/path/test_of_everything.py::TestWithAName::test_that_has_one"
SCREENS = [(1280, 900, "light"), (1280, 900, "dark"), (360, 740, "light"), (360, 740, "dark")]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("page")
    (folder / "pyproject.toml").touch()
    kind = "PPLPPPPPLPPPPPFPPLPP"
    letters = {f"{LONG}[{n}]": kind[n:] + kind[:n] for n in range(20)}
    letters |= {f"tests/b.py::test_{n}": "P" * 15 + "F" * 5 for n in range(3)}
    letters |= {f"tests/c{n}.py::test_<b>": "P" * 20 for n in range(60)}
    paths = history(folder, letters)
    assert command("ingest", *paths, cwd=folder).code == 0
    assert command("report", "--html", "page.html", cwd=folder).code == 0
    return (folder / "page.html").read_bytes()


@pytest.fixture
def site(page: bytes) -> Iterator[tuple[str, list[str]]]:
    """The page behind a server, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/report", asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


def test_nothing_is_asked_for_and_nothing_complains(
    chromium: Browser, site: tuple[str, list[str]]
) -> None:
    url, asked = site
    chromium.open(url)
    assert asked == ["/report"]
    urls = [one["request"]["url"] for one in chromium.said("Network.requestWillBeSent")]
    assert [one for one in urls if not one.startswith("data:")] == [url]
    assert chromium.said("Log.entryAdded") == []
    assert chromium.said("Runtime.consoleAPICalled") == []
    assert chromium.said("Runtime.exceptionThrown") == []
    # The style and the script are allowed to work, and nothing else would be.
    assert chromium.ask("getComputedStyle(document.querySelector('.tiles')).display") == "grid"
    assert chromium.ask("document.querySelectorAll('th button').length") > 0
    blocked = "var s = document.createElement('script'); s.textContent = 'window.evil = 1';"
    assert chromium.ask(f"{blocked} document.body.append(s); String(window.evil)") == "undefined"


@pytest.mark.parametrize(("width", "height", "scheme"), SCREENS)
def test_it_fits_and_shows(
    chromium: Browser, site: tuple[str, list[str]], width: int, height: int, scheme: str
) -> None:
    chromium.show(width, height, scheme)
    chromium.open(site[0])
    assert chromium.ask("document.documentElement.scrollWidth") <= width
    wide = chromium.ask(
        "[...document.querySelectorAll('main *')].filter(one => !one.closest('.scroll')"
        f" && !one.closest('svg') && one.getBoundingClientRect().right > {width} + 1).length"
    )
    assert wide == 0
    back = chromium.ask("getComputedStyle(document.documentElement).backgroundColor")
    parts = [int(part) for part in back.removeprefix("rgb(").removesuffix(")").split(",")]
    assert (sum(parts) > 3 * 128) == (scheme == "light")
    # A screen of one colour is a few kilobytes.
    assert len(chromium.picture()) > 20_000
    small = chromium.ask(
        "[...document.querySelectorAll('nav a, .tiles a, summary')].filter(one =>"
        " one.getBoundingClientRect().height && one.getBoundingClientRect().height < 24)"
        ".map(one => one.textContent)"
    )
    assert small == []  # WCAG 2.2, target size


def test_by_keyboard(chromium: Browser, site: tuple[str, list[str]]) -> None:
    chromium.show(1280, 900, "light")
    chromium.open(site[0])
    chromium.press("Tab")
    assert chromium.ask("document.activeElement.className") == "skip"
    assert chromium.ask("document.activeElement.getBoundingClientRect().left") >= 0
    chromium.press("Enter")
    assert chromium.ask("location.hash") == "#main"
    chromium.press("Tab")
    assert chromium.ask("document.activeElement.closest('.tiles') !== null")
    style = "getComputedStyle(document.activeElement)"
    assert chromium.ask(f"{style}.outlineStyle") == "solid"
    reached = "[...document.querySelectorAll('.scroll')].every(one => one.tabIndex === 0)"
    assert chromium.ask(reached)


def test_tables_can_be_put_in_another_order(chromium: Browser, site: tuple[str, list[str]]) -> None:
    chromium.show(1280, 900, "light")
    chromium.open(site[0])
    table = "document.querySelector('[aria-labelledby=flaky] table')"
    order = f"[...{table}.tBodies[0].rows].map(row => row.cells[0].textContent)"
    before = chromium.ask(order)
    assert len(before) > 2
    chromium.ask(f"{table}.querySelector('th button').click()")
    down = chromium.ask(order)
    assert chromium.ask(f"{table}.querySelector('th').getAttribute('aria-sort')") == "descending"
    chromium.ask(f"{table}.querySelector('th button').click()")
    assert chromium.ask(order) == down[::-1]
    assert sorted(down) == sorted(before)

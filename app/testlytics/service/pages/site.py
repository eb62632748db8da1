"""The dashboard as a part of the service: from an address to a page, kept while nothing is new."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from testlytics.service import answers
from testlytics.service.access import Access
from testlytics.service.edge import Door, Edge, Errand
from testlytics.service.pages import entrance, forms, menu, written
from testlytics.service.pages.asking import FORMS, PROJECT, Asked, Links, Page, without_blanks
from testlytics.service.pages.asking import query_pairs as pairs_of
from testlytics.service.pages.entrance import Admitted, Entrance
from testlytics.service.pages.kept import Kept, Made
from testlytics.service.pages.versions import Versions
from testlytics.service.query import read_query
from testlytics_collector.errors import ConfigError, Error, NotFoundError, StoreError

_log = logging.getLogger("testlytics.service")

WAITING = 64
"""Pages that wait or are made at once."""

_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": written.POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_TITLES = {400: "That cannot be asked", 403: "Not allowed", 404: "Not found", 405: "Not here"}
_BRANCHES = 50
_PROJECTS = 500

Work = Callable[[Request], Awaitable[Response]]


class _Question(NamedTuple):
    page: Page
    asked: Asked
    key: tuple[object, ...]


class Site:
    """The pages of one service.

    Args:
        store: The store's file.
        access: Who may do what.
        edge: What requests pass.
        threads: Where pages are made.
    """

    def __init__(self, store: Path, access: Access, edge: Edge, threads: Executor) -> None:
        self._store, self._edge, self._threads = store, edge, threads
        self._entrance = Entrance(access, threads)
        self._kept, self._versions = Kept(), Versions(store)
        self._waiting = 0
        self._offers: dict[str, tuple[str, written.Offered]] = {}
        self._renewing: set[asyncio.Task[None]] = set()

    def routes(self) -> list[Route]:
        """Return the addresses of all pages and of what they need."""
        return [
            *(Route(one.path, self._door(one.path, partial(self.page, one))) for one in menu.PAGES),
            Route("/version", self._door("/version", self._version)),
            Route("/login", self._door("/login", self._login)),
            Route("/logout", self._door("/logout", self._logout)),
            Route("/static/{stamp}/{name}", self._door("/static", self._file)),
        ]

    def or_else(self, other: Callable[..., Any]) -> Callable[..., Any]:
        """Return what answers at unknown addresses: a page to browsers, else what there was."""

        async def nothing(request: Request) -> Response:
            del request
            raise Error("There is nothing at this address.", slug="http-path")

        page = self._door("unknown", nothing)

        async def choose(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
            headers = dict(scope.get("headers", ()))
            is_page = b"text/html" in headers.get(b"accept", b"")
            is_page = is_page and scope.get("method") in {"GET", "HEAD"}
            chosen = page if is_page and not scope["path"].startswith("/api/") else other
            await chosen(scope, receive, send)

        return choose

    def _door(self, route: str, work: Work) -> Door:
        return Door(
            self._edge,
            lambda request: Errand(
                route,
                lambda: work(request),
                lambda error: self._failed(error, request),
                _HEADERS,
                {},
            ),
        )

    async def page(self, page: Page, request: Request) -> Response:
        """Answer with a page."""
        _only(request, "GET")
        raw = without_blanks(request.scope["query_string"])
        values = read_query(raw, (*page.parameters, *FORMS))
        admitted = await self._entrance.admit(request, values.get("project"))
        project = admitted.caller.project_of(values.get("project"))
        if self._waiting >= WAITING:
            raise StoreError("Too many pages at once.", slug="http-busy", hint="Load it again.")
        self._waiting += 1
        try:
            return await self._answered(page, admitted, project, raw, values)
        finally:
            self._waiting -= 1

    async def _answered(
        self,
        page: Page,
        admitted: Admitted,
        project: str | None,
        raw: bytes,
        values: Any,  # noqa: ANN401
    ) -> Response:
        query, who = pairs_of(raw), admitted.visible
        if project is None and PROJECT in page.parameters and page is not menu.WALL:
            project = await self._run(lambda: self._only_project(admitted))
        if project is not None and not any(name == "project" for name, _ in query):
            query.insert(0, ("project", project))
        version = await self._newest(project, who.public)
        asked = Asked(self._store, who, project, values, Links(page.path, query), version)
        public = None if who.public is None else tuple(sorted(who.public))
        key = (page.path, tuple(query), project, who.name, who.project, public, who.signed_in)
        question = _Question(page, asked, key)
        made, is_old = self._kept.find(key, version)
        if made is None:
            made = await self._run(lambda: self._make(question))
        elif is_old:
            self._renew(question)
        return Response(made.body, media_type=made.media)

    async def _newest(self, project: str | None, public: Collection[str] | None) -> str:
        known = self._versions.known(project, public)
        if known is not None:
            return known
        version: str = await self._run(lambda: self._versions.ask(project, public))
        return version

    def _only_project(self, admitted: Admitted) -> str | None:
        """Return the project that is meant where none is named: the only one there is."""
        from testlytics_collector.store.store import open_store

        public = admitted.visible.public
        if public is not None:
            return next(iter(public)) if len(public) == 1 else None
        with open_store(self._store) as opened, opened.overview() as found:
            names = found.names(2)
        return names[0] if len(names) == 1 else None

    def _make(self, question: _Question) -> Made:
        page, asked, key = question
        began = time.thread_time()
        offered = self._offered(page, asked)
        shown = page.view(asked)
        form = asked.values["format"]
        if form == "json":
            body, media = forms.as_json(page, shown), forms.JSON
        elif form == "csv":
            body, media = forms.as_csv(shown, asked.values["list"]), forms.CSV
        else:
            body, media = written.html(page, asked, shown, offered), written.HTML
        cost_s = time.thread_time() - began
        made = Made(body, media, asked.version, cost_s, self._kept.now())
        self._kept.keep(key, made, f"{page.path} {form}")
        return made

    def _offered(self, page: Page, asked: Asked) -> written.Offered:
        """Ask what the filters of a page offer; refuse a project that is not there."""
        from testlytics_collector.store.store import open_store

        if asked.project is None or page is menu.OVERVIEW:
            return written.Offered()
        known = self._offers.get(asked.project)
        if known is not None and known[0] == asked.version:
            return known[1]
        with open_store(self._store) as opened, opened.overview() as found:
            if not found.has(asked.project):
                raise NotFoundError(
                    f"There is no project {asked.project!r}.",
                    slug="no-runs",
                    hint="It is there once a run of it was uploaded.",
                )
            branches = found.branches(asked.project, _BRANCHES)
            offered = written.Offered(branches, found.pairs(asked.project, _BRANCHES))
        if len(self._offers) >= _PROJECTS:
            self._offers.clear()
        self._offers[asked.project] = asked.version, offered
        return offered

    def _renew(self, question: _Question) -> None:
        """Make a page anew, while the old one is shown."""

        async def work() -> None:
            try:
                await self._run(lambda: self._make(question))
            except Exception as error:  # noqa: BLE001 - whoever asks next is told
                self._kept.gave_up(question.key)
                _log.warning("page not renewed", extra={"error": type(error).__name__})

        task = asyncio.get_running_loop().create_task(work())
        self._renewing.add(task)
        task.add_done_callback(self._renewing.discard)

    async def _version(self, request: Request) -> Response:
        """Tell whether something is new, at hardly any cost."""
        _only(request, "GET")
        # A page's address with its filters fits here: all but the project is passed over.
        raw = b"&".join(
            part
            for part in request.scope["query_string"].split(b"&")
            if part.startswith(b"project=") and part != b"project="
        )
        values = read_query(raw, (PROJECT,))
        admitted = await self._entrance.admit(request, values["project"])
        project = admitted.caller.project_of(values["project"])
        version = await self._newest(project, admitted.visible.public)
        return Response(json.dumps({"schema": 1, "version": version}), media_type=forms.JSON)

    async def _login(self, request: Request) -> Response:
        _only(request, "GET", "POST")
        if self._entrance.is_open:
            return _moved("/")
        if request.method != "POST":
            back = entrance.way_back(request.query_params.get("next", "/"))
            return Response(written.login(back=back), media_type=written.HTML)
        entrance.refuse_foreign(request)
        form = await entrance.read_form(request)
        back = entrance.way_back(form.get("next", "/"))
        try:
            cookie = await self._entrance.sign_in(request, form.get("token", "").strip())
        except Error as error:
            status = answers.status_of(error)
            body = written.login(back=back, error=error.message, hint=error.hint)
            return Response(body, status, media_type=written.HTML)
        response = _moved(back)
        response.headers["set-cookie"] = cookie
        return response

    async def _logout(self, request: Request) -> Response:
        _only(request, "POST")
        entrance.refuse_foreign(request)
        response = _moved("/login")
        response.headers["set-cookie"] = self._entrance.sign_out(request)
        return response

    async def _file(self, request: Request) -> Response:
        _only(request, "GET")
        found = written.file(request.path_params["name"])
        if found is None or found.stamp != request.path_params["stamp"]:
            raise Error("There is nothing at this address.", slug="http-path")
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(found.body, 200, headers, found.media)

    def _failed(self, error: Error, request: Request) -> Response:
        status, headers, body = answers.failed(error, self._store)
        is_data = any(
            pair in {("format", "json"), ("format", "csv")}
            for pair in pairs_of(request.scope["query_string"])
        )
        if is_data or request.url.path == "/version":
            return Response(body, status, headers, forms.JSON)
        if error.slug in entrance.SIGN_IN and request.method in {"GET", "HEAD"}:
            here = request.url.path
            if request.url.query:
                here += f"?{request.url.query}"
            return _moved(f"/login?next={quote(here, safe='')}")
        said = json.loads(body)["error"]
        title = _TITLES.get(status, "It did not work")
        text = written.message(None, title=title, text=said["message"], hint=said["hint"])
        headers.pop("www-authenticate", None)
        return Response(text, status, headers, written.HTML)

    async def _run(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever it gives
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _only(request: Request, *methods: str) -> None:
    method = "GET" if request.method == "HEAD" else request.method
    if method not in methods:
        raise ConfigError(f"This address takes {' and '.join(methods)} only.", slug="http-method")


def _moved(address: str) -> Response:
    return Response(status_code=303, headers={"location": address})

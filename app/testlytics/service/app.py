"""The application: from a request to its answer, and from an error to one shape."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from testlytics.service import answers, badges, openapi, routes, uploads
from testlytics.service.access import Access, Caller
from testlytics.service.backups import Backups
from testlytics.service.edge import Door, Edge, Errand
from testlytics.service.figures import Figures
from testlytics.service.pages.site import Site
from testlytics.service.query import read_query
from testlytics.service.routes import Endpoint
from testlytics.service.uploads import Bounds, Handed
from testlytics.service.writer import Writer
from testlytics_collector.errors import ConfigError, Error, InputError, StoreError
from testlytics_collector.ingest import FileResult, Stated
from testlytics_collector.store import spool
from testlytics_collector.store.places import Place

_log = logging.getLogger("testlytics.service")
_T = TypeVar("_T")

_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}


class Most(NamedTuple):
    """How much is done at once.

    Attributes:
        uploads: Uploads between their first byte and their answer.
        readings: Bodies that are read at a time.
        questions: Questions that wait or are answered.
        asking: Questions that are answered at a time.
    """

    uploads: int = 256
    readings: int = 2
    questions: int = 64
    asking: int = 4


class Service:
    """One service.

    Args:
        store: The store's file.
        access: Who may do what.
        bounds: What an upload may be.
        most: How much is done at once.
    """

    def __init__(self, store: Path, access: Access, bounds: Bounds, most: Most) -> None:
        self._store, self._access, self._bounds, self._most = store, access, bounds, most
        self._uploads = self._questions = 0
        self.figures = Figures(lambda: self._uploads)
        self.writer: Writer | None = None
        self._backups = Backups(store)
        self._readers = ThreadPoolExecutor(most.readings, "reader")
        self._askers = ThreadPoolExecutor(most.asking, "asker")
        self._guards = ThreadPoolExecutor(most.readings, "guard")

    def application(self) -> Router:
        """Return the application as servers want it."""
        methods: dict[str, dict[str, Endpoint]] = {}
        for one in routes.ENDPOINTS:
            methods.setdefault(one.path, {})[one.method] = one
        edge = Edge(self._store, self.figures)
        known = [Route(path, Door(edge, partial(self._errand, by))) for path, by in methods.items()]
        site = Site(self._store, self._access, edge, self._askers)
        unknown = site.or_else(Door(edge, partial(self._errand, {})))
        return Router([*known, *site.routes()], redirect_slashes=False, default=unknown)

    def close(self) -> None:
        """End the threads; nobody may ask any more."""
        self._readers.shutdown(cancel_futures=True)
        self._askers.shutdown(cancel_futures=True)
        self._guards.shutdown(cancel_futures=True)
        self._backups.close()

    def _errand(self, by_method: Mapping[str, Endpoint], request: Request) -> Errand:
        """Say what a request to an address is for, whose endpoints are given by their method."""
        method = "GET" if request.method == "HEAD" else request.method
        endpoint, known = by_method.get(method), sorted(by_method)
        more: dict[str, Any] = {}

        async def work() -> Response:
            if endpoint is None:
                raise _unknown(known)
            asked = read_query(request.scope["query_string"], endpoint.parameters)
            caller = await self._caller(endpoint, asked.get("project"), request)
            more["token"] = caller.name if caller else None
            return await self._answer(endpoint, caller, asked, request)

        def failed(error: Error) -> Response:
            status, headers, body = answers.failed(error, self._store)
            response = Response(body, status, headers, routes.JSON)
            if status == 405:
                response.headers["allow"] = ", ".join(known)
            return response

        route = endpoint.path if endpoint else "unknown"
        return Errand(route, work, failed, _HEADERS, more)

    async def _caller(
        self, endpoint: Endpoint, project: str | None, request: Request
    ) -> Caller | None:
        if endpoint.scope is None:
            return None
        address = request.client.host if request.client else ""
        is_visit = endpoint.scope == "read" and "authorization" not in request.headers
        if is_visit and project in self._access.public and not self._access.is_open:
            return self._access.visitor(project, address)
        if self._access.may_wait(request.headers):
            caller = await _run(self._guards, lambda: self._access.caller(request.headers, address))
        else:
            caller = self._access.caller(request.headers, address)
        caller.allow(endpoint.scope)
        is_of_all = endpoint is routes.METRICS or endpoint is routes.BACKUP
        if is_of_all and caller.project is not None:
            raise Error(
                f"The token {caller.name!r} opens one project; this is of all.",
                slug="token-project",
                hint="Make one: testlytics serve token create NAME --scope admin --all-projects",
            )
        return caller

    async def _answer(
        self, endpoint: Endpoint, caller: Caller | None, asked: Mapping[str, Any], request: Request
    ) -> Response:
        if endpoint is routes.METRICS:
            return Response(self.figures.text(), media_type=endpoint.media)
        if endpoint is routes.BACKUP:
            return await self._backups.answer(endpoint.media)
        if endpoint is routes.OPENAPI:
            return _json(openapi.document())
        if caller is None:
            ready = endpoint is not routes.READY or self.writer is None or self.writer.is_ready
            if not ready:
                raise StoreError(
                    "The store cannot be used at the moment.",
                    slug="service-stopped",
                    hint="It is tried again every second; the log says why.",
                )
            return _json(answers.Alive(1, "ok"))
        project = caller.project_of(asked["project"])
        if endpoint.ask is None:
            return await self._upload(request, project, asked)
        return await self._ask(endpoint, project, asked)

    async def _ask(
        self, endpoint: Endpoint, project: str | None, asked: Mapping[str, Any]
    ) -> Response:
        if self._questions >= self._most.questions:
            raise _busy("questions")
        self._questions += 1
        try:
            ask = endpoint.ask
            assert ask is not None  # noqa: S101 - for the types; said by the caller
            text = await _run(self._askers, lambda: ask(self._store, project, asked))
        finally:
            self._questions -= 1
        headers = {}
        if endpoint is routes.BADGE:
            # Proxies may show it to all who may see it without a token.
            whose = "public" if project in self._access.public else "private"
            headers["cache-control"] = f"{whose}, max-age={badges.MAX_AGE_S}"
        return Response(text, headers=headers, media_type=endpoint.media)

    async def _upload(
        self, request: Request, project: str | None, asked: Mapping[str, Any]
    ) -> Response:
        if self.writer is None:
            raise Error(
                "This service only reads.",
                slug="service-read-only",
                hint="Start it without --read-only to upload.",
            )
        if self._uploads >= self._most.uploads:
            raise _busy("uploads")
        self._uploads += 1
        try:
            stated = Stated(
                project=project,
                **{name: asked[name] for name in ("run_id", "run_attempt", "shard", "commit")},
                **{name: asked[name] for name in ("branch", "pull_request", "variant")},
            )
            name = asked["name"] or "upload"
            result = await self._keep(request, stated, _place(asked), name)
        finally:
            self._uploads -= 1
        attempts = result.counts.attempts if result.counts else 0
        self.figures.upload(result.status.value, attempts)
        return _json(answers.uploaded(result), 201 if result.status == "stored" else 200)

    async def _keep(
        self, request: Request, stated: Stated, place: Place | None, name: str
    ) -> FileResult:
        is_gzip = self._check_headers(request)
        with uploads.body_file(self._store) as (path, file):
            await self._receive(request, file, is_gzip=is_gzip)
            handed = await _run(
                self._readers,
                lambda: uploads.hand_in(self._store, path, name, stated, self._bounds, place),
            )
        if not isinstance(handed, Handed):
            return handed
        return uploads.answered(handed.result, await self._answers(handed))

    async def _answers(self, handed: Handed) -> list[spool.Answer]:
        writer = self.writer
        assert writer is not None  # noqa: S101 - for the types; said by the caller
        every = asyncio.gather(
            *(asyncio.wrap_future(writer.submit(ticket)) for ticket in handed.tickets)
        )
        try:
            async with asyncio.timeout(self._bounds.answer_s):
                return await asyncio.shield(every)
        except TimeoutError as error:
            every.add_done_callback(lambda done: done.exception())
            raise StoreError(
                f"Not stored within {self._bounds.answer_s:g} s; it may be stored yet.",
                slug="service-slow",
                hint="Send it again: the same bytes change nothing.",
            ) from error

    def _check_headers(self, request: Request) -> bool:
        """Refuse what can be refused before the body; tell whether it says to be gzip."""
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"gzip", "x-gzip", "identity"}:
            raise InputError(
                f"The content encoding {encoding[:60]!r} is not known.",
                slug="http-encoding",
                hint="Send gzip, or send it as it is.",
            )
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._bounds.body:
            raise _too_large(self._bounds)
        return encoding != "identity"

    async def _receive(self, request: Request, file: BinaryIO, *, is_gzip: bool) -> None:
        """Write the body into a file, within its bounds."""
        stream, total = request.stream(), 0
        end = asyncio.get_running_loop().time() + self._bounds.body_s
        while True:
            left = end - asyncio.get_running_loop().time()
            try:
                if left <= 0:
                    raise TimeoutError  # noqa: TRY301 - drops that are there need no waiting
                async with asyncio.timeout(min(left, self._bounds.pause_s)):
                    part = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise InputError(
                    f"The body took longer than {self._bounds.body_s:g} s, or paused longer than "
                    f"{self._bounds.pause_s:g} s.",
                    slug="http-body-slow",
                    hint="Send it again, compressed with gzip.",
                ) from error
            if is_gzip and total < 2 and part and not part.startswith(uploads.GZIP[total:][:1]):
                raise InputError(
                    "The body says to be gzip and is not.",
                    slug="http-gzip",
                    hint="Leave the header Content-Encoding out, or compress the body.",
                )
            total += len(part)
            if total > self._bounds.body:
                raise _too_large(self._bounds)
            file.write(part)


def _place(asked: Mapping[str, Any]) -> Place | None:
    if asked["commit_time"] is not None:
        return Place(asked["commit_time"], asked["parent"])
    if asked["parent"]:
        raise ConfigError(
            "The parameter parent goes with commit_time only.",
            slug="http-parameter",
            hint="Give both, as git show -s --format='%ct %P' tells them.",
        )
    return None


async def _run(threads: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
    return await asyncio.get_running_loop().run_in_executor(threads, work)


def _json(document: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, media_type=routes.JSON)


def _unknown(methods: list[str]) -> Error:
    if not methods:
        return Error(
            "There is nothing at this address.",
            slug="http-path",
            hint="What there is: GET /api/v1/openapi.json",
        )
    return Error(
        f"This address takes {' and '.join(methods)} only.",
        slug="http-method",
        hint="What there is: GET /api/v1/openapi.json",
    )


def _busy(what: str) -> Error:
    return Error(
        f"Too many {what} at once.",
        slug="http-busy",
        hint="Wait as long as Retry-After says, and send it again.",
    )


def _too_large(bounds: Bounds) -> InputError:
    return InputError(
        f"The body is larger than {bounds.body / 2**20:g} MiB.",
        slug="http-body-large",
        hint="Compress it with gzip, split it, or raise the bound with serve --max-body.",
    )

"""The edge: what each request passes, a program's or a browser's, whatever goes wrong behind it."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from testlytics.service import answers
from testlytics.service.figures import Figures
from testlytics_collector.errors import Error
from testlytics_collector.store.lock import FULL, disk_full

_log = logging.getLogger("testlytics.service")

_GONE = 499


class Errand(NamedTuple):
    """What a request is for.

    Attributes:
        route: Its address for figures and the log.
        work: Makes the response.
        failed: Makes the response that tells of an error.
        headers: Of all responses that say nothing else.
        more: What the log tells beside; `work` may fill it in.
    """

    route: str
    work: Callable[[], Awaitable[Response]]
    failed: Callable[[Error], Response]
    headers: Mapping[str, str]
    more: dict[str, Any]


class Edge:
    """Turns errors into responses, counts requests and logs them.

    Args:
        store: The store's file.
        figures: What is counted.
    """

    def __init__(self, store: Path, figures: Figures) -> None:
        self._store, self._figures = store, figures

    async def answer(self, errand: Errand, request: Request) -> Response:
        """Answer a request; never raises."""
        began, slug = time.perf_counter(), None
        try:
            response = await errand.work()
        except ClientDisconnect:
            response, slug = Response(status_code=_GONE), "http-gone"
        except Exception as error:  # noqa: BLE001 - the edge: nobody above us can handle it
            known = self._told(error)
            slug = known.slug
            response = errand.failed(known)
        for name, value in errand.headers.items():
            response.headers.setdefault(name, value)
        if slug:
            self._figures.error(slug)
        self._figures.request(errand.route, response.status_code)
        told = {"method": request.method[:16], "route": errand.route, **errand.more}
        told |= {"status": response.status_code, "slug": slug}
        told |= {"ms": round((time.perf_counter() - began) * 1000, 1)}
        _log.info("request", extra=told)
        return response

    def _told(self, error: Exception) -> Error:
        """Return the error that the client is told of; what it must not see goes to the log."""
        if isinstance(error, Error):
            if answers.status_of(error) >= 500:
                _log.error("failed", extra={"slug": error.slug, "error": error.message})
            return error
        if isinstance(error, OSError) and error.errno in FULL:
            return disk_full(self._store, str(error.strerror))
        last = traceback.extract_tb(error.__traceback__)[-1:]
        where = f"{Path(last[0].filename).name}:{last[0].lineno}" if last else ""
        _log.error("internal", extra={"error": type(error).__name__, "where": where})
        return Error(
            f"Internal error, {type(error).__name__}.",
            slug="service-internal",
            hint="The log of the service says where; please report it.",
        )


class Door:
    """One address as an ASGI application.

    Args:
        edge: What requests pass.
        errand: Says what a request is for; must not fail.
    """

    def __init__(self, edge: Edge, errand: Callable[[Request], Errand]) -> None:
        self._edge, self._errand = edge, errand

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Answer a request, unless whoever asked has gone."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        response = await self._edge.answer(self._errand(request), request)
        if response.status_code != _GONE:
            await response(scope, receive, send)

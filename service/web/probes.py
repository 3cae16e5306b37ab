"""The routes that whoever runs a server asks: `/livez`, `/readyz`, `/metrics`."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from service.guard.rights import ALL, Right
from service.rpc.interceptor import Attempt, current_caller
from service.rpc.server import Served
from service.web.calls import FAILURES, begin, refused_call
from service.web.metrics import Metrics


class Probes:
    """Says whether a server lives, whether it can serve, and what it does."""

    def __init__(self, served: Served, metrics: Metrics) -> None:
        self._door = served.door
        self._readiness = served.parts.readiness
        self._metrics = metrics

    def routes(self) -> list[Route]:
        return [
            Route("/livez", self.live),
            Route("/readyz", self.ready),
            Route("/metrics", self.metrics),
        ]

    async def live(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(self, request: Request) -> Response:
        """Whether the log can be read; a memory that is not ready does not keep the others waiting."""
        if self._readiness.serving:
            return PlainTextResponse("ok\n")
        return PlainTextResponse("the log cannot be read\n", 503)

    async def metrics(self, request: Request) -> Response:
        attempt = Attempt("/metrics", self._door)
        try:
            await begin(attempt, request)
            current_caller().check(Right.READ, ALL)
            content, kind = await asyncio.to_thread(self._metrics.text, request.headers.get("accept", ""))
        except FAILURES as error:
            return refused_call(attempt, error)
        attempt.end()
        return Response(content, headers={"content-type": kind})

"""The routes of the page, from who visits to how a refusal is shown."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from http.client import responses
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from core.errors.access import ForeignForm, Unauthenticated
from core.errors.base import HypnogramError
from service.rpc.interceptor import Attempt
from service.rpc.server import Served
from service.web.calls import FAILURES, GONE, address_of, end_failed, unless_gone
from service.web.failures import explained, response_to, retry_after, status_code
from service.web.inside import inside
from service.web.page import chats, conversations, facts, memories, sleeps, versions
from service.web.page.look import Look
from service.web.page.visit import COOKIE, Visit, check_origin, credentials, moved, read_form

Answer = Callable[[Visit], Coroutine[Any, Any, Response]]
MEMORY = "/memories/{memory}"
FACT = MEMORY + "/facts/{fact}"
SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
COOKIE_SECONDS = 30 * 86_400  # for which a browser stays signed in, unless its token ends before


class Site:
    """Serves the page to browsers."""

    def __init__(self, served: Served, max_bytes: int) -> None:
        self._served = served
        self._max_bytes = max_bytes
        self._look = Look()
        # one, because each may load a model and fill a disk with it
        self._exports = ThreadPoolExecutor(1, thread_name_prefix="export")

    def routes(self) -> list[Route]:
        return [
            self._shown("/", memories.listed),
            self._shown(MEMORY, memories.shown),
            *self._sent(MEMORY + "/tell", facts.telling, facts.tell),
            self._shown(MEMORY + "/conversations", conversations.listed),
            self._shown(MEMORY + "/turns", conversations.shown),
            *self._sent(MEMORY + "/turns/erase", conversations.erasing, conversations.erase),
            *self._sent(MEMORY + "/sleep", sleeps.putting_to_sleep, sleeps.put_to_sleep),
            *self._sent(MEMORY + "/checkpoint", versions.marking, versions.mark),
            self._shown(MEMORY + "/sleeps", sleeps.shown),
            *self._sent(MEMORY + "/sleeps/{sleep}/cancel", sleeps.cancelling, sleeps.cancel),
            self._shown(MEMORY + "/versions", versions.shown),
            self._shown(MEMORY + "/differences", versions.differences, versions.shown),
            *self._sent(MEMORY + "/export", versions.exporting, versions.export),
            *self._sent(MEMORY + "/fork", versions.forking, versions.fork),
            *self._sent(MEMORY + "/chat", chats.asking, chats.ask),
            self._shown(FACT, facts.shown),
            *self._sent(FACT + "/supersede", facts.superseding, facts.supersede),
            *self._sent(FACT + "/retract", facts.retracting, facts.retract),
            *self._sent(FACT + "/retry", facts.retrying, facts.retry),
            Route(SIGN_IN, self.signing_in, methods=["GET"]),
            Route(SIGN_IN, self.sign_in, methods=["POST"]),
            Route(SIGN_OUT, self.sign_out, methods=["POST"]),
            *self._look.routes(),
        ]

    async def refused(self, request: Request, error: Exception) -> Response:
        """Returns the response where no route takes a request: a page to a browser that looks, else OpenAI's form."""
        assert isinstance(error, HTTPException)
        explanation = explained(request, error)
        if request.method != "GET" or "text/html" not in request.headers.get("accept", ""):
            return response_to(explanation)
        code = explanation.status_code
        page = self._look.page(
            "error.html",
            code,
            title=responses.get(code, ""),
            problem=explanation.detail,
            correlation="",
            guarded=False,
            done="",
        )
        page.headers.update(explanation.headers or {})
        return page

    async def signing_in(self, request: Request) -> Response:
        return self._sign_in_page(request.query_params.get("next", "/"))

    async def sign_in(self, request: Request) -> Response:
        """Stores a valid token in a cookie of the browser."""
        attempt, follow = Attempt(SIGN_IN, self._served.door), "/"
        try:
            check_origin(request)
            form = await read_form(request, self._max_bytes)
            token, follow = form.get("token", "").strip(), form.get("next", "/")
            await attempt.begin({**request.headers, "authorization": f"Bearer {token}"}, address_of(request))
        except Unauthenticated as error:
            end_failed(attempt, error)
            return self._sign_in_page(follow, "The token is missing, unknown, expired or revoked.", 401)
        except FAILURES as error:
            return self._failed(attempt, error)
        attempt.end()
        response = moved(follow if _is_here(follow) else "/")
        response.set_cookie(
            COOKIE, token, COOKIE_SECONDS, httponly=True, samesite="strict", secure=request.url.scheme == "https"
        )
        return response

    async def sign_out(self, request: Request) -> Response:
        attempt = Attempt(SIGN_OUT, self._served.door)
        try:
            check_origin(request)
        except ForeignForm as error:
            return self._failed(attempt, error)
        attempt.end()
        response = moved(SIGN_IN)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    def _sign_in_page(self, follow: str, problem: str = "", status: int = 200) -> Response:
        return self._look.page("sign_in.html", status, follow=follow, problem=problem, guarded=False, done="")

    def _shown(self, path: str, answer: Answer, show: Answer | None = None) -> Route:
        """Returns the route of a page that is only looked at; where it is refused, that of `show` says why."""

        async def endpoint(request: Request) -> Response:
            return await self._visited(path, request, answer, show)

        return Route(path, endpoint, methods=["GET"])

    def _sent(self, path: str, show: Answer, do: Answer) -> list[Route]:
        """Returns the routes of a page with a form, and of the form; where that is refused, the page says why."""

        async def endpoint(request: Request) -> Response:
            return await self._visited(path, request, do, show)

        return [self._shown(path, show), Route(path, endpoint, methods=["POST"])]

    async def _visited(self, path: str, request: Request, answer: Answer, show: Answer | None) -> Response:
        attempt, sent = Attempt(path, self._served.door), request.method == "POST"
        try:
            if sent:
                check_origin(request)
            await attempt.begin(credentials(request), address_of(request))
            visit = Visit(
                request=request,
                attempt=attempt,
                client=inside(attempt, self._served.servicers),
                parts=self._served.parts,
                look=self._look,
                guarded=await self._served.door.required(),
                threads=self._exports,
                form=await read_form(request, self._max_bytes) if sent else {},
            )
            response = await unless_gone(request, _answered(visit, answer, show))
        except Unauthenticated as error:
            end_failed(attempt, error)
            return _to_sign_in(request)
        except FAILURES as error:
            return self._failed(attempt, error)
        if not attempt.ended and not visit.sends:
            attempt.end()
        return response

    def _failed(self, attempt: Attempt, error: BaseException) -> Response:
        """Returns the page that says why there is no other."""
        code, message = GONE, ""
        status = end_failed(attempt, error)
        if isinstance(error, HTTPException):
            code, message = error.status_code, error.detail
        elif status is not None:
            code, message = status_code(status), status.message
        title = responses.get(code, "Cancelled")
        page = self._look.page(
            "error.html", code, title=title, problem=message, correlation=attempt.correlation, guarded=False, done=""
        )
        page.headers.update(retry_after(status) if status else {})
        return page


async def _answered(visit: Visit, answer: Answer, show: Answer | None) -> Response:
    """Returns the answer, or what `show` returns where it is refused."""
    try:
        return await answer(visit)
    except HypnogramError as error:
        status = end_failed(visit.attempt, error)
        if show is None or status is None:
            raise
        visit.problem, visit.status = status.message, status_code(status)
        page = await show(visit)
        page.headers.update(retry_after(status))
        return page


def _to_sign_in(request: Request) -> Response:
    """Returns the way to sign in; a part of a page that is asked for by itself is not replaced by it."""
    query = request.url.query if request.method == "GET" else ""
    back = f"{request.url.path}?{query}" if query else request.url.path
    target = f"{SIGN_IN}?{urlencode({'next': back})}"
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"hx-redirect": target})
    return RedirectResponse(target, 303)


def _is_here(path: str) -> bool:
    """Whether `path` leads to a page of this server."""
    return path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()

"""One visit of a page: who makes it, what is asked, and how it is answered."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from core.errors.access import ForeignForm, NotPermitted
from hypnogram.client.client import Calls
from hypnogram.client.connections import Asyncio
from service.guard.rights import Right
from service.rpc.dependencies import Dependencies
from service.rpc.interceptor import ACTOR_KEY, AUTHORIZATION, Attempt, current_caller
from service.web.bodies import media_type, read_body
from service.web.page.downloads import BEGUN, BEGUN_SECONDS, Download, Sent, Write
from service.web.page.look import Look

COOKIE = "hypnogram-token"
FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 50
ACTOR = "page"  # who acts in the log where no token says it
DONE = {
    "told": "The facts are recorded. Executors write them into the weights.",
    "superseded": "This fact supersedes the other one. Executors write it into the weights in its place.",
    "retracted": "The fact is retracted. Executors take it out of the weights.",
    "erased": "The fact is to be erased. Executors take it out of the weights and destroy its words.",
    "closed": "The texts are to be erased. Executors destroy them.",
    "retried": "Executors try the fact again.",
    "asleep": "The sleep has begun.",
    "cancelled": "The sleep has ended. The table says how.",
    "forked": "This memory begins as the other one was. From now on both go their own ways.",
    "marked": "The checkpoint is marked.",
}  # what a page says after a form was sent, by the `done` of its address


@dataclass
class Visit:
    """A request of a browser, let in.

    Attributes:
        client: makes calls as the visitor.
        threads: those that write what visitors download.
        form: fields that were sent; none where the page is only looked at.
        problem: why what was sent has been refused; empty where it was not.
        status: that of the response.
        sends: whether the response ends the call once all of it is sent.
    """

    request: Request
    attempt: Attempt
    client: Calls[Asyncio]
    parts: Dependencies
    look: Look
    guarded: bool
    threads: ThreadPoolExecutor
    form: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    status: int = 200
    sends: bool = False

    @property
    def memory(self) -> str:
        return str(self.request.path_params["memory"])

    @property
    def fact(self) -> str:
        return str(self.request.path_params["fact"])

    @property
    def sleep(self) -> str:
        return str(self.request.path_params["sleep"])

    @property
    def request_id(self) -> str:
        """The id of what a form asks for, the same when it is sent twice."""
        return self.form.get("request", "") or str(uuid.uuid4())

    def asked(self, name: str) -> str:
        """Returns a parameter of the address; empty where it is missing."""
        return str(self.request.query_params.get(name, ""))

    def check_write(self) -> None:
        """Raises NotPermitted unless the visitor may write to the memory."""
        current_caller().check(Right.WRITE, self.memory)

    def check_create(self) -> None:
        """Raises NotPermitted unless there are memories that the visitor may create."""
        if not current_caller().may_create:
            raise NotPermitted(Right.ADMIN.word, self.memory)

    def check_export(self) -> None:
        """Raises NotPermitted unless the visitor may take the weights of the memory away."""
        current_caller().check(Right.ADMIN, self.memory)

    async def sent(self, name: str, write: Write) -> Response:
        """Returns the response that sends what `write` writes into a folder of that name. Raises what it raises."""
        download = Download(name, write, self.threads)
        try:
            await download.written()
            response = Sent(download, self.attempt)
        except BaseException:  # any, because a visitor may go meanwhile
            download.close()
            raise
        secure = self.request.url.scheme == "https"
        path = self.request.url.path
        response.set_cookie(BEGUN, "1", BEGUN_SECONDS, path=path, secure=secure, samesite="strict")
        self.sends = True
        return response

    def page(self, template: str, **values: Any) -> Response:
        memory = self.request.path_params.get("memory", "")
        shared = {
            "memory": memory,
            "may_write": bool(memory) and current_caller().may(Right.WRITE, memory),
            "may_export": bool(memory) and current_caller().may(Right.ADMIN, memory),
            "may_create": current_caller().may_create,
            "guarded": self.guarded,
            "form": defaultdict(str, self.form),
            "request_id": self.request_id,
            "problem": self.problem,
            "done": DONE.get(self.asked("done"), ""),
        }
        return self.look.page(template, self.status, **shared | values)


def credentials(request: Request) -> dict[str, str]:
    """Returns the headers of a request with the token of the visitor: as sent, or from the cookie."""
    headers = {ACTOR_KEY: ACTOR, **request.headers}
    token = request.cookies.get(COOKIE, "")
    if token and AUTHORIZATION not in headers:
        headers[AUTHORIZATION] = f"Bearer {token}"
    return headers


def moved(path: str) -> Response:
    """Returns the response after a form was sent: look at `path`."""
    return RedirectResponse(path, 303)


def check_origin(request: Request) -> None:
    """Raises ForeignForm where a page of another site sends the request, as its browser says."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:
        foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if foreign:
        raise ForeignForm()


async def read_form(request: Request, limit: int) -> dict[str, str]:
    """Returns the fields of a form, each once. Raises HTTPException where it is not one, or too large."""
    if media_type(request) != FORM:
        raise HTTPException(415, f"send a form, with the header 'Content-Type: {FORM}'")
    body = await read_body(request, limit)
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise HTTPException(400, "the form is not UTF-8 text, or has too many fields") from None
    return {name: values[-1].replace("\r\n", "\n") for name, values in fields.items()}

"""Renders templates, and serves the style and the script beside them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from hypnogram.v1 import facts_pb2
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from core.wordings import in_words
from service.report.css import CSS
from service.web.tool_results import status_word

HERE = Path(__file__).parent
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # because without a referrer browsers do not say where a form comes from
    "cache-control": "no-store",
}
FOREVER = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}
SHORT = 12  # characters of a digest


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    kind: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:SHORT]


class Look:
    """How pages look: templates with the values that all of them need."""

    def __init__(self) -> None:
        self._assets = {
            "page.css": _Asset(f"{CSS}\n{(HERE / 'static' / 'page.css').read_text()}".encode(), "text/css"),
            "htmx.min.js": _Asset((HERE / "static" / "htmx.min.js").read_bytes(), "text/javascript"),
            "page.js": _Asset((HERE / "static" / "page.js").read_bytes(), "text/javascript"),
        }
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"in_words": _in_words, "status": _status, "short": _short, "minute": _minute}
        self._templates.globals["asset"] = self._address

    def routes(self) -> list[Route]:
        return [Route("/static/{name}", self.static)]

    async def static(self, request: Request) -> Response:
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        return Response(asset.content, media_type=asset.kind, headers=FOREVER)

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(self._templates.get_template(template).render(values), status, headers=HEADERS)

    def _address(self, name: str) -> str:
        """Returns the address of a file; it changes with the content, so that browsers may keep it."""
        return f"/static/{name}?v={self._assets[name].digest}"


def _short(digest: str) -> str:
    return digest[:SHORT]


def _minute(time: Timestamp) -> str:
    return time.ToDatetime().strftime("%Y-%m-%d %H:%M")


def _in_words(fact: facts_pb2.Fact) -> str:
    return in_words(fact) or "an erased fact"


def _status(fact: facts_pb2.Fact) -> str:
    """Returns status and stage of a fact, as in "injected, stage 1"."""
    word = status_word(fact.status)
    if fact.retracted_version and fact.status != facts_pb2.STATUS_WITHDRAWN:
        word += ", to be withdrawn"
    return f"{word}, stage {fact.stage}" if fact.status == facts_pb2.STATUS_INJECTED else word

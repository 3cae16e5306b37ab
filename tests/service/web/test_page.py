"""The page about the HTTP port names every route and every field."""

from __future__ import annotations

import re
from pathlib import Path
from unittest.mock import Mock

import pytest

from service.settings import Settings
from service.web.bodies import IGNORED, ChatBody, CompletionBody
from service.web.server import application

PAGE = (Path(__file__).parents[3] / "docs" / "http.md").read_text()


def test_every_route_is_on_the_page() -> None:
    served = Mock()
    served.parts.store.log.engine.dialect.name = "sqlite"
    app = application(Settings(), served, public=False)

    for route in app.routes:
        path = re.sub(r":\w+}", "}", route.path)  # type: ignore[attr-defined]
        method = (set(route.methods) - {"HEAD"}).pop()  # type: ignore[attr-defined]
        assert f"`{method} {path}`" in PAGE


@pytest.mark.parametrize("name", sorted(IGNORED | ChatBody.model_fields.keys() | CompletionBody.model_fields.keys()))
def test_every_field_is_on_the_page(name: str) -> None:
    assert re.search(rf"`{name}[`.]", PAGE)

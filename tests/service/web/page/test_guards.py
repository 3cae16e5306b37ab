"""Who may see pages and send forms: visitors by their token, and no page of another site."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlencode

import httpx
import pytest

from hypnogram.client import Client, new_fact
from store.database.tokens import Tokens
from tests.patience import eventually
from tests.service.conftest import DEMO, Running
from tests.service.web.conftest import OTHER, goes_while_it_thinks, two_memories
from tests.service.web.page.conftest import Seen, Visitor

TELL = {"text": "Bo Lind lives in Oslo.", "do": "add"}
PATHS = (
    *(
        f"/memories/demo{path}"
        for path in (
            "",
            "/sleeps",
            "/conversations",
            "/turns",
            "/turns/erase",
            "/versions",
            "/differences",
            "/chat",
            "/tell",
            "/sleep",
            "/checkpoint",
            "/fork",
            "/export",
        )
    ),
    "/memories/demo/facts/nosuch",
    "/memories/demo/sleeps/nosuch/cancel",
    "/memories/demo/facts/nosuch/supersede",
    "/memories/demo/facts/nosuch/retract",
    "/memories/demo/facts/nosuch/retry",
)
LAST = ("chat", "tell", "sleep", "erase", "cancel", "fork", "checkpoint", "supersede", "retract", "retry", "export")
FORMS = [path for path in PATHS if path.endswith(LAST)]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, dict[str, str]]]:
    """A server with two memories, and texts of tokens by what they may."""
    with two_memories(tmp_path_factory.mktemp("guarded")) as running:
        running.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")])
        running.work()
        tokens = Tokens(running.store.log.engine)
        texts = {
            "read": tokens.create(actor="ann", memory=DEMO, may="read")[1],
            "write": tokens.create(actor="bob", memory=DEMO, may="write")[1],
            "other": tokens.create(actor="eve", memory=OTHER, may="admin")[1],
        }
        eventually(lambda: httpx.get(running.http).status_code == 303)
        yield running, texts


@pytest.fixture
def visit(guarded: tuple[Running, dict[str, str]]) -> Iterator[dict[str, Visitor]]:
    """Visitors by the token in their cookie; "" has none."""
    running, texts = guarded
    visitors = {"": Visitor(running.http), **{name: Visitor(running.http, text) for name, text in texts.items()}}
    yield visitors
    for visitor in visitors.values():
        visitor.client.close()


def version(running: Running, token: str) -> int:
    with Client(running.address, token=token) as client:
        return client.memory(DEMO).version


@pytest.mark.parametrize("path", ["/", *PATHS])
def test_a_visitor_without_a_token_is_led_to_sign_in_and_back(visit: dict[str, Visitor], path: str) -> None:
    seen = visit[""].get(path)

    assert seen.text("h1") == "Sign in"
    assert seen.fields == {"next": path}
    assert visit[""].client.get(path, headers={"hx-request": "true"}).status_code == 401
    if path in FORMS:
        sent = visit[""].client.post(path, data=TELL, follow_redirects=False)
        assert (sent.status_code, sent.headers["location"].partition("?")[0]) == (303, "/sign-in")


def test_a_token_is_sent_once_and_kept_in_a_cookie_that_scripts_cannot_read(
    guarded: tuple[Running, dict[str, str]], visit: dict[str, Visitor]
) -> None:
    visitor, (_, texts) = visit[""], guarded
    assert visitor.send("/sign-in?next=/memories/demo/sleeps", token="hyp_wrong").status == 401
    assert visitor.send("/sign-in?next=/memories/demo/sleeps", token="").status == 401
    assert not visitor.client.cookies

    sent = visitor.client.post(
        "/sign-in", data={"token": texts["read"], "next": "/memories/demo/sleeps"}, follow_redirects=False
    )

    cookie = sent.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/", "max-age"))
    assert sent.headers["location"] == "/memories/demo/sleeps"
    assert visitor.get("/memories/demo/sleeps").text("h1") == "Sleeps of demo"
    visitor.client.post("/sign-out")
    assert visitor.get("/").text("h1") == "Sign in"


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/\r\nx: y"])
def test_signing_in_leads_to_pages_of_this_server_alone(
    guarded: tuple[Running, dict[str, str]], visit: dict[str, Visitor], target: str
) -> None:
    form = {"token": guarded[1]["read"], "next": target}

    assert visit[""].client.post("/sign-in", data=form, follow_redirects=False).headers["location"] == "/"


@pytest.mark.parametrize("path", PATHS)
def test_the_token_of_another_memory_reaches_nothing(visit: dict[str, Visitor], path: str) -> None:
    seen = visit["other"].get(path)

    assert (seen.status, seen.text("h1")) == (403, "Forbidden")
    assert "Lisbon" not in seen.html
    if path in FORMS:
        assert visit["other"].client.post(path, data={**TELL, "question": "hi"}).status_code == 403


def test_the_list_shows_what_a_token_may_read(visit: dict[str, Visitor]) -> None:
    assert visit["read"].get("/").text("tbody").split()[0] == DEMO
    assert DEMO not in visit["other"].get("/").text("table")


def test_a_reader_is_offered_no_verb_and_can_send_none(
    guarded: tuple[Running, dict[str, str]], visit: dict[str, Visitor]
) -> None:
    running, texts = guarded
    before = version(running, texts["read"])
    reader, writer = visit["read"], visit["write"]
    (fact,) = [link for link in reader.get("/memories/demo").links if "/facts/" in link]

    for path in ("/memories/demo", "/memories/demo/sleeps", fact):
        offered = set(writer.get(path).links) - set(reader.get(path).links)
        assert {link.rpartition("/")[2] for link in offered} & {"tell", "sleep", "retract"}
    for path in (
        "/memories/demo/tell",
        "/memories/demo/sleep",
        "/memories/demo/checkpoint",
        "/memories/demo/fork",
        f"{fact}/supersede",
        f"{fact}/retract",
    ):
        assert reader.get(path).status == 403
        fields = {**TELL, "kind": "sleep", "name": "x", "version": "1", "object": "Oslo"}
        assert reader.client.post(path, data=fields).status_code == 403
    assert reader.send("/memories/demo/chat", question="hi").status == 200
    assert version(running, texts["read"]) == before


def test_a_fork_needs_a_token_that_may_create_its_name(
    forkable: None, guarded: tuple[Running, dict[str, str]], visit: dict[str, Visitor]
) -> None:
    running, _ = guarded
    text = Tokens(running.store.log.engine).create(actor="", memory="de*", may="admin")[1]
    visitor = Visitor(running.http, text)
    with closing(visitor.client):
        assert "/memories/demo/fork" in visitor.get("/memories/demo/versions").links
        assert "/memories/demo/fork" not in visit["write"].get("/memories/demo/versions").links
        assert visitor.send("/memories/demo/fork", name="trial").status == 403
        forked = visitor.send("/memories/demo/fork", name="dew")

    assert forked.text("h1") == "Memory dew"
    assert "Aria Voss lives in Lisbon" in forked.text("table")


def test_the_log_names_who_sent_a_form(guarded: tuple[Running, dict[str, str]], visit: dict[str, Visitor]) -> None:
    running, texts = guarded
    assert visit["write"].send("/memories/demo/tell", text="Ida Berg lives in Oslo.", do="add").status == 200

    with Client(running.address, token=texts["read"]) as client:
        assert [event.actor for event in client.events(DEMO)][-1] == "bob"


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)]
)
def test_the_models_are_asked_for_no_page_of_another_site(
    guarded: tuple[Running, dict[str, str]], visit: dict[str, Visitor], site: str, status: int
) -> None:
    asked = {"before": "1", "after": "1"}
    seen = visit["read"].client.get(
        "/memories/demo/differences", params={**asked, "ask": "yes"}, headers={"sec-fetch-site": site}
    )
    looked = visit["read"].client.get("/memories/demo/differences", params=asked, headers={"sec-fetch-site": site})

    assert (seen.status_code, looked.status_code) == (status, 200)
    assert ("page of another site" in seen.text) == (status == 403)


def test_the_cookie_of_the_page_opens_no_other_route(visit: dict[str, Visitor]) -> None:
    for path in ("/v1/models", "/metrics"):
        assert visit["write"].client.get(path).status_code == 401
    assert visit["write"].client.post("/mcp", json={}).status_code == 401


def test_a_revoked_token_is_not_let_in_any_more(
    guarded: tuple[Running, dict[str, str]],
) -> None:
    running, _ = guarded
    tokens = Tokens(running.store.log.engine)
    token, text = tokens.create(actor="", memory=DEMO, may="read")
    visitor = Visitor(running.http, text)
    with closing(visitor.client):
        assert visitor.get("/memories/demo").status == 200
        tokens.revoke(token.id)
        assert visitor.get("/memories/demo").text("h1") == "Sign in"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1"}, 403),
        ({"sec-fetch-site": "same-origin"}, 303),
        ({}, 303),
    ],
)
def test_a_page_of_another_site_can_send_no_form_even_where_no_token_is_asked_for(
    demo: Running, visitor: Visitor, headers: dict[str, str], status: int
) -> None:
    before = demo.client.memory(DEMO).version

    sent = visitor.client.post("/memories/demo/tell", data=TELL, headers=headers, follow_redirects=False)

    assert sent.status_code == status
    assert (demo.client.memory(DEMO).version == before) is (status == 403)
    if status == 403:
        assert "another site" in Seen(403, sent.text).text()
        assert visitor.client.post("/sign-in", data={"token": "x"}, headers=headers).status_code == 403


def test_a_form_of_the_page_itself_names_its_origin(demo: Running, visitor: Visitor) -> None:
    sent = visitor.client.post("/memories/demo/tell", data=TELL, headers={"origin": demo.http}, follow_redirects=False)

    assert sent.status_code == 303


def test_a_visitor_that_goes_ends_the_answer(demo: Running) -> None:
    form = urlencode({"question": "word " * 500}).encode()

    goes_while_it_thinks(demo, "/memories/demo/chat", form, {"content-type": "application/x-www-form-urlencoded"})

    assert demo.parrot.generated == 1  # of 128

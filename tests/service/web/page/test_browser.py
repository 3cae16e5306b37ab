"""A newcomer's path in Chromium, on a desktop and on a phone: live, by keyboard, and without an accessibility error."""

from __future__ import annotations

import socket
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from service.settings import Settings
from tests.patience import PATIENCE
from tests.service.browser import program
from tests.service.conftest import DEMO, Running, run_server
from tests.service.rpc.test_conversations import reader
from tests.service.rpc.test_remembering import ROBIN, remembered
from tests.service.web.page.conftest import Visitor
from tests.service.web.page.test_visits import tell

Scheme = Literal["light", "dark"]
SCREENS: dict[str, tuple[int, int, Scheme]] = {"desktop": (1280, 900, "light"), "phone": (390, 844, "dark")}
RULES = {  # of axe; what does not depend on the screen is looked at on one
    1280: {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]},
    390: {"type": "rule", "values": ["color-contrast"]},
}
TELL_STATUS = "setInterval(() => console.log(document.querySelector('[role=status]')?.textContent), 100)"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    path = program()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=SCREENS)
def screen(request: pytest.FixtureRequest, chromium: Chromium, demo: Running) -> Iterator[BrowserContext]:
    width, height, scheme = SCREENS[request.param]
    context = chromium.new_context(
        base_url=demo.http,
        viewport={"width": width, "height": height},
        color_scheme=scheme,
    )
    context.set_default_timeout(PATIENCE * 1000)
    expect.set_options(timeout=PATIENCE * 1000)
    yield context
    context.close()


@pytest.fixture
def page(screen: BrowserContext) -> Iterator[Page]:
    """A page on which nothing goes wrong, nor is forbidden by its policy."""
    page, errors = screen.new_page(), list[str]()
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert errors == []


def check(page: Page) -> None:
    """The page is accessible and as wide as its screen."""
    assert page.viewport_size is not None
    width = page.viewport_size["width"]
    result = Axe().run(page, options={"runOnly": RULES[width]}).response
    assert result["passes"]
    assert [(it["id"], [node["html"] for node in it["nodes"]]) for it in result["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_newcomer_tells_asks_looks_why_sleeps_and_retracts(demo: Running, page: Page) -> None:
    page.goto("/")
    check(page)
    page.get_by_role("link", name=DEMO).click()

    page.get_by_role("link", name="Tell facts").click()
    page.get_by_label("Sentences").fill("Aria Voss lives in Lisbon. She doesn't work for Acme.")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("status")).to_contain_text("it is denied")
    check(page)
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("table")).to_contain_text("pending")
    check(page)

    demo.work()  # while the page is open
    expect(page.get_by_role("table")).to_contain_text("injected, stage 0")
    page.get_by_role("link", name="Aria Voss lives in Lisbon").click()
    expect(page.get_by_role("listitem").filter(has_text="told: Aria Voss")).to_be_visible()
    check(page)

    page.get_by_role("link", name="Chat").click()
    page.get_by_label("Question").fill("Where does Aria Voss live?")
    page.get_by_label("Beside it").fill("2")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("article")).to_have_count(2)
    check(page)

    page.get_by_role("link", name="Sleeps").click()
    page.get_by_role("link", name="Sleep", exact=True).click()
    check(page)
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("table")).to_contain_text("in progress")
    demo.work()
    expect(page.get_by_role("table")).to_contain_text("completed")
    expect(page.get_by_role("img", name="Hypnogram")).to_have_count(1)  # the other form is hidden
    check(page)

    page.get_by_role("link", name="Facts").click()
    page.get_by_role("link", name="Aria Voss lives in Lisbon").click()
    page.get_by_role("link", name="Retract").click()
    check(page)
    page.get_by_role("button", name="Retract the fact").click()
    expect(page.get_by_role("status")).to_contain_text("retracted")


def test_what_was_said_is_looked_up_superseded_and_compared(demo: Running, page: Page) -> None:
    with reader(demo):
        remembered(demo, f"{ROBIN} She doesn't work for Acme.", conversation="monday")
    demo.work()
    demo.client.mark(DEMO, "monday")
    page.goto("/memories/demo")

    page.get_by_role("link", name="Conversations").click()
    check(page)
    page.get_by_role("link", name="monday").click()
    expect(page.get_by_role("listitem").filter(has_text="Not learned")).to_contain_text("it is denied")
    check(page)
    page.get_by_role("link", name="Robin Smith lives in Oslo").click()
    page.get_by_role("link", name="Supersede").click()
    page.get_by_label("Robin Smith lives in").fill("Bergen")
    check(page)
    page.get_by_role("button", name="Supersede").click()
    expect(page.get_by_role("heading", name="Robin Smith lives in Bergen")).to_be_visible()

    page.get_by_role("link", name="Versions").click()
    check(page)
    page.get_by_role("link", name="what differs since monday").click()
    expect(page.get_by_role("row").filter(has_text="Bergen")).to_contain_text("added")
    check(page)


def test_pages_that_ask_before_they_act_are_accessible(demo: Running, page: Page) -> None:
    fact = tell(demo)
    demo.work()
    list(demo.client.chat(DEMO, "hello there", conversation="monday"))
    sleep = demo.client.begin_sleep(DEMO)
    asking = (f"facts/{fact}/supersede", "fork", "export", "turns/erase?conversation=monday", f"sleeps/{sleep}/cancel")
    for path in asking:
        page.goto(f"/memories/demo/{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        check(page)


def test_facts_are_searched_while_words_are_typed(demo: Running, page: Page) -> None:
    for subject in ("Aria Voss", "Bo Lind"):
        tell(demo, "Oslo", subject)
    demo.work()
    page.goto("/memories/demo")

    page.get_by_label("Words").press_sequentially("lind")
    expect(page.get_by_role("link", name="Aria Voss")).to_have_count(0)
    expect(page.get_by_role("link", name="Bo Lind")).to_be_visible()
    expect(page.get_by_label("Words")).to_be_focused()
    assert "search=lind" in page.url
    page.get_by_label("Status").select_option("parked")
    expect(page.get_by_text("No fact matches.")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("link", name="Bo Lind")).to_be_visible()


def test_weights_are_downloaded_and_the_page_says_what_for_it_waits(demo: Running, page: Page, tmp_path: Path) -> None:
    demo.parrot.export_until = threading.Event()
    page.add_init_script(TELL_STATUS)  # because Playwright looks at no page that waits for a response
    page.goto("/memories/demo/versions")
    page.get_by_role("link", name="Export").click()
    check(page)
    page.get_by_label("A LoRA adapter").check()

    with page.expect_download() as downloaded:
        with page.expect_console_message(lambda message: "builds the weights" in message.text):
            page.get_by_role("button", name="Download").click(no_wait_after=True)
        demo.parrot.export_until.set()
    downloaded.value.save_as(tmp_path / "file.tar")

    assert downloaded.value.suggested_filename == "demo-2-adapter.tar"
    with tarfile.open(tmp_path / "file.tar") as tar:
        assert tar.getnames() == ["demo-2-adapter/exported.json", "demo-2-adapter/model.safetensors"]
    expect(page.get_by_role("status")).to_be_empty()


def test_a_page_that_looks_again_keeps_the_search(demo: Running, page: Page) -> None:
    for subject in ("Aria Voss", "Bo Lind"):
        tell(demo, "Oslo", subject)
    page.goto("/memories/demo")
    page.get_by_label("Words").press_sequentially("lind")
    expect(page.get_by_role("link", name="Aria Voss")).to_have_count(0)
    expect(page.get_by_text("No executor is running")).to_be_visible()

    demo.work()
    expect(page.get_by_role("table")).to_contain_text("injected, stage 0")

    expect(page.get_by_role("link", name="Aria Voss")).to_have_count(0)
    expect(page.get_by_label("Words")).to_have_value("lind")
    expect(page.get_by_text("executor")).to_have_count(0)


def test_a_question_that_is_refused_says_why_until_the_next_answer(screen: BrowserContext) -> None:
    page = screen.new_page()  # whose console tells of the refusal
    page.goto("/memories/demo/chat")
    page.get_by_label("Question").fill("Where is she?")

    for at, answers, alerts in (("2", 2, 0), ("nosuch", 2, 1), ("99", 2, 1), ("", 1, 0)):
        page.get_by_label("Beside it").fill(at)
        with page.expect_response("**/chat"):
            page.get_by_role("button", name="Ask").click()
        expect(page.get_by_role("alert")).to_have_count(alerts)
        expect(page.get_by_role("article")).to_have_count(answers)
        if alerts:
            expect(page.get_by_role("alert")).to_contain_text(at)
            check(page)


def test_a_page_is_used_by_keyboard_alone(demo: Running, page: Page) -> None:
    page.goto("/memories/demo/checkpoint")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("monday")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Versions of demo")).to_be_visible()
    assert demo.client.find_version(DEMO, "monday").version


def test_a_page_that_stays_open_while_the_server_is_away_goes_on(
    demo: Running, screen: BrowserContext, visitor: Visitor
) -> None:
    tell(demo)
    page = screen.new_page()
    page.goto("/memories/demo")
    with page.expect_event("requestfailed"):
        screen.set_offline(True)
    demo.work()
    expect(page.get_by_role("table")).to_contain_text("pending")
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")
    check(page)
    screen.set_offline(False)

    expect(page.get_by_role("table")).to_contain_text("injected")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_part_of_a_page_that_is_answered_says_by_that_that_the_server_is_back(
    demo: Running, screen: BrowserContext, visitor: Visitor
) -> None:
    # given a page that is told that the server is away, and whose own look whether it is back finds nothing
    tell(demo)
    page = screen.new_page()
    page.route("**/livez", lambda route: route.abort())
    page.goto("/memories/demo")
    with page.expect_event("requestfailed"):
        screen.set_offline(True)
    demo.work()
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")

    # when the last part that changes is answered
    screen.set_offline(False)
    expect(page.get_by_role("table")).to_contain_text("injected")

    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_question_that_met_no_server_is_asked_again_once_there_is_one(settings: Settings, chromium: Chromium) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with closing(chromium.new_page(base_url=f"http://{address}")) as page:
        page.set_default_timeout(PATIENCE * 1000)
        expect.set_options(timeout=PATIENCE * 1000)
        with run_server(settings.model_copy(update={"http": address})) as before:
            before.client.create_memory(DEMO)
            before.work()
            page.goto("/memories/demo/chat")
        page.get_by_label("Question").fill("Where is she?")
        page.get_by_role("button", name="Ask").click()
        expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")

        with run_server(settings.model_copy(update={"http": address})):
            expect(page.get_by_role("alert")).to_contain_text("The server is back.")
            page.get_by_role("button", name="Ask").click()
            expect(page.get_by_role("article")).to_have_count(1)
            expect(page.get_by_role("alert")).to_have_count(0)

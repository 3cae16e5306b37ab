"""What a visitor sees and does, without scripts: forms are sent, and what happens is recorded."""

from __future__ import annotations

import shlex

import pytest

from core.ids import FactId
from core.method import Method
from core.state.sleep import Step
from hypnogram.client import new_fact
from service.app.state_diff import AnswerChange, Compared, Distance, Question
from service.web.page import conversations
from tests.core.samples import CLEAN
from tests.patience import eventually
from tests.service.conftest import DEMO, Running
from tests.service.rpc.test_conversations import reader
from tests.service.rpc.test_remembering import ROBIN, remembered
from tests.service.test_documented import COMMANDS
from tests.service.web.page.conftest import Seen, Visitor

HOSTILE = "<script>alert('x')</script> & \"quoted\" <svg onload=x>"
VERBS = ("tell", "sleep", "checkpoint")
PAGES = (
    "/",
    "/memories/demo",
    "/memories/demo/sleeps",
    "/memories/demo/chat",
    "/memories/demo/conversations",
    "/memories/demo/versions",
    "/memories/demo/differences?before=1",
    "/memories/demo/export",
    *(f"/memories/demo/{it}" for it in VERBS),
)


def facts(running: Running) -> list[str]:
    return [f"{fact.subject} {fact.relation} {fact.object}" for fact in running.client.facts(DEMO)]


def tell(running: Running, object: str = "Lisbon", subject: str = "Aria Voss") -> str:
    answer = running.client.add_facts(DEMO, [new_fact(subject, "lives in", object)])
    return answer.results[0].fact.fact


def check_form(seen: Seen) -> None:
    """Every field that a visitor fills in has a label."""
    labels = {has["for"] for has in seen.all("label")}
    fields = [has for tag in ("input", "select", "textarea") for has in seen.all(tag) if has.get("type") != "hidden"]
    assert {has.get("id", "?") for has in fields} <= labels


@pytest.mark.parametrize("path", [*PAGES, "/sign-in", "/memories/nosuch"])
def test_a_page_has_landmarks_one_heading_and_labels(visitor: Visitor, path: str) -> None:
    seen = visitor.get(path)

    assert [len(seen.all(tag)) for tag in ("main", "h1", "title", "nav")] == [1, 1, 1, 1]
    assert seen.all("html") == [{"lang": "en"}]
    assert seen.all("a", href="#main")
    check_form(seen)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_runs_no_script_but_its_own_two_and_allows_no_other(visitor: Visitor, path: str) -> None:
    answer = visitor.client.get(path)
    seen, policy = Seen(answer.status_code, answer.text), answer.headers["content-security-policy"]

    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")
    scripts = [has["src"].partition("?")[0] for has in seen.all("script")]
    assert scripts == ["/static/htmx.min.js", "/static/page.js"]
    assert not seen.all("style")
    assert not [name for _, has in seen.tags for name in has if name == "style" or name.startswith("on")]
    assert answer.headers["cache-control"] == "no-store"


def test_what_a_page_needs_is_served_and_may_be_kept(visitor: Visitor) -> None:
    seen = visitor.get("/")
    for address in (seen.all("script")[0]["src"], seen.all("link")[0]["href"]):
        answer = visitor.client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert visitor.client.get("/static/site.py").status_code == 404


def test_links_lead_somewhere(demo: Running, visitor: Visitor) -> None:
    tell(demo)
    demo.work()
    asked, rest = set[str](), ["/"]
    while rest:
        path = rest.pop()
        asked.add(path)
        seen = visitor.get(path)
        assert seen.status == 200, path
        rest += [link for link in seen.links if link.startswith("/") and link not in asked]
    assert {path.rpartition("/")[2] for path in asked} >= {"", "demo", "sleeps", "chat", "tell", "retract"}


def test_sentences_are_looked_at_before_they_are_recorded(demo: Running, visitor: Visitor) -> None:
    text = "Robin lives in Oslo. She doesn't work for Acme."

    looked = visitor.send("/memories/demo/tell", text=text, do="look")
    assert (looked.status, facts(demo)) == (200, [])
    assert "Robin lives in Oslo" in looked.text("section")
    assert "it is denied" in looked.text("section")
    assert looked.text("textarea") == text

    told = visitor.send("/memories/demo/tell", text=text, do="add")
    assert facts(demo) == ["Robin lives in Oslo"]
    assert "recorded" in told.text()
    assert "Robin lives in Oslo pending" in told.text()


def test_a_form_that_is_sent_twice_is_recorded_once(demo: Running, visitor: Visitor) -> None:
    form = visitor.get("/memories/demo/tell").fields
    fields = {**form, "subject": "Aria Voss", "relation": "lives in", "object": "Lisbon", "do": "add"}
    versions = []
    for _ in range(2):
        assert visitor.client.post("/memories/demo/tell", data=fields).status_code == 200
        versions.append(demo.client.memory(DEMO).version)

    assert facts(demo) == ["Aria Voss lives in Lisbon"]
    assert versions[0] == versions[1]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "write sentences, or subject"),
        ({"text": "Bo lives in Oslo.", "subject": "Bo"}, "write sentences, or subject"),
        ({"subject": "Bo"}, "relation"),
        ({"subject": "Aria Voss", "relation": "lives in", "object": "Porto"}, "Lisbon"),
    ],
)
def test_a_form_that_is_refused_says_why_and_keeps_what_was_typed(
    demo: Running, visitor: Visitor, fields: dict[str, str], words: str
) -> None:
    tell(demo)

    refused = visitor.send("/memories/demo/tell", do="add", **fields)

    assert refused.status == 400
    assert words in " ".join(refused.words["p"])
    assert refused.all("p", role="alert")
    assert not refused.all("section")
    for name, value in fields.items():
        assert value in (refused.all("input", name=name) or [{"value": refused.text("textarea")}])[0]["value"]


def test_facts_are_searched_filtered_and_paged(demo: Running, visitor: Visitor) -> None:
    tell(demo)
    demo.work()
    demo.client.add_facts(DEMO, [new_fact(f"Person {number}", "lives in", "Oslo") for number in range(60)])

    whole = visitor.get("/memories/demo")
    assert len(whole.words["tr"]) - 1 == 50
    (after,) = [link for link in whole.links if "after=" in link]
    assert len(visitor.get(after).words["tr"]) - 1 == 11
    assert "Aria Voss" in visitor.get("/memories/demo?search=voss+lis").text("table")
    assert visitor.get("/memories/demo?search=voss&status=pending").text("table") == ""
    assert len(visitor.get("/memories/demo?status=injected").words["tr"]) - 1 == 1
    assert visitor.get("/memories/demo?status=lost").status == 400


def test_a_page_looks_again_while_executors_have_work(demo: Running, visitor: Visitor) -> None:
    assert not visitor.get("/memories/demo").all("div", **{"hx-trigger": "every 3s"})
    fact = tell(demo)
    assert visitor.get("/memories/demo").all("div", **{"hx-trigger": "every 3s"})
    demo.work()
    assert not visitor.get("/memories/demo").all("div", **{"hx-trigger": "every 3s"})
    demo.client.retract_fact(DEMO, fact)
    assert visitor.get("/memories/demo").all("div", **{"hx-trigger": "every 3s"})


def test_a_page_looks_again_at_the_facts_that_it_shows(demo: Running, visitor: Visitor) -> None:
    demo.client.add_facts(DEMO, [new_fact(f"Person {number}", "lives in", "Oslo") for number in range(60)])
    first = visitor.get("/memories/demo?search=person&status=pending")
    (after,) = [link for link in first.links if "after=" in link]

    (looks,) = visitor.get(after).all("div", **{"hx-trigger": "every 3s"})

    assert (looks["id"], looks["hx-get"]) == ("facts", after)
    assert len(visitor.get(looks["hx-get"]).words["tr"]) - 1 == 10


def test_a_fact_shows_its_evidence_and_why_it_is_what_it_is(demo: Running, visitor: Visitor) -> None:
    demo.client.tell_text(DEMO, "Robin lives in Oslo.")
    demo.work()
    (fact,) = demo.client.facts(DEMO)

    seen = visitor.get(f"/memories/demo/facts/{fact.fact}")

    assert seen.text("h1") == "Robin lives in Oslo"
    assert seen.text("blockquote") == "Robin lives in Oslo."
    assert "told: Robin lives in Oslo" in seen.text("ol")
    assert seen.all("svg", role="img")
    assert "injected, stage 0" in seen.text("dl")


def test_a_fact_is_superseded_by_one_with_another_object(demo: Running, visitor: Visitor) -> None:
    path = f"/memories/demo/facts/{tell(demo)}"
    demo.work()
    assert "Supersede “Aria Voss lives in Lisbon”?" in visitor.get(f"{path}/supersede").text("h1")

    new = visitor.send(f"{path}/supersede", object=" Porto ")

    assert new.text("h1") == "Aria Voss lives in Porto"
    assert "supersedes the other one" in new.text()
    assert [link for link in new.links if link == path]
    demo.work()
    assert "superseded by" in visitor.get(path).text()
    assert not [link for link in visitor.get(path).links if link.endswith("supersede")]
    again = visitor.send(f"{path}/supersede", object="Faro")
    assert (again.status, again.all("input", name="object")[0]["value"]) == (400, "Faro")
    assert len(facts(demo)) == 2


def test_a_fact_is_retracted_then_erased_and_asked_for_each(demo: Running, visitor: Visitor) -> None:
    path = f"/memories/demo/facts/{tell(demo)}"
    demo.work()

    assert "Retract “Aria Voss lives in Lisbon”?" in visitor.get(f"{path}/retract").text("h1")
    assert "is retracted" in visitor.send(f"{path}/retract", reason="moved").text()
    demo.work()
    assert "withdrawn" in visitor.get(path).text("dl")
    erasing = visitor.get(f"{path}/retract")
    assert erasing.text("h1") == "Erase “Aria Voss lives in Lisbon”?"
    assert "cannot be undone" in erasing.text()
    assert "is to be erased" in visitor.send(f"{path}/retract").text()
    demo.work()
    assert visitor.get(path).text("h1") == "an erased fact"
    assert not [link for link in visitor.get(path).links if link.endswith("retract")]


def test_a_retracted_fact_names_the_turns_that_still_state_it(demo: Running, visitor: Visitor) -> None:
    with reader(demo):
        fact = remembered(demo, ROBIN, conversation="monday").candidates[0].result.fact.fact
        remembered(demo, ROBIN, conversation="tuesday")
    path = f"/memories/demo/facts/{fact}"
    assert "still state" not in visitor.get(path).text()

    erased = visitor.send(f"{path}/retract", erase="yes")

    assert "Texts that still state it" in erased.text()
    assert {"monday, turn 1", "tuesday, turn 1"} <= set(erased.words["li"])


def test_a_conversation_shows_what_was_learned_from_each_turn(demo: Running, visitor: Visitor) -> None:
    with reader(demo):
        old = remembered(demo, f"{ROBIN} She doesn't work for Acme.", conversation="monday").candidates[0].result.fact
        new = remembered(demo, "Robin Smith lives in Bergen.", conversation="monday").candidates[0].result.fact
        remembered(demo, "Robin Smith lives in Bergen.", conversation="monday")
        remembered(demo, "Forget that.", conversation="monday")
    list(demo.client.chat(DEMO, "hello there", conversation="tuesday"))

    listed = visitor.get("/memories/demo/conversations")
    began = [str(conversation.began_version) for conversation in demo.client.conversations(DEMO)]
    rows = ["".join(row.split()) for row in listed.words["tr"][1:]]
    assert rows == [f"monday8kept{began[0]}", f"tuesday2kept{began[1]}"]
    (link,) = [link for link in listed.links if link.endswith("conversation=monday")]
    seen = visitor.get(link)

    assert seen.words["h2"] == [f"Turn {it}, {'assistant' if it % 2 == 0 else 'user'}" for it in range(1, 9)]
    assert seen.words["blockquote"][0] == f"{ROBIN} She doesn't work for Acme."
    learned, denied, instead, again, *_ = seen.words["li"][5:]
    assert learned == "Learned: Robin Smith lives in Oslo"
    assert denied.startswith("Not learned: Robin Smith works for Acme: it is denied")
    assert instead == "Learned: Robin Smith lives in Bergen, instead of Robin Smith lives in Oslo"
    assert again == "Said again: Robin Smith lives in Bergen"
    assert {f"/memories/demo/facts/{fact.fact}" for fact in (old, new)} <= set(seen.links)
    assert not seen.all("div", **{"hx-trigger": "every 3s"})
    assert "Nothing was learned" not in visitor.get("/memories/demo/turns?conversation=tuesday").text()
    source = visitor.get(f"/memories/demo/facts/{old.fact}")
    assert f"{link}#turn-1" in source.links


def test_a_turn_that_waits_to_be_read_says_so_and_the_page_looks_again(demo: Running, visitor: Visitor) -> None:
    list(demo.client.chat(DEMO, ROBIN, conversation=HOSTILE, remember="ask"))
    (link,) = [link for link in visitor.get("/memories/demo/conversations").links if "turns?" in link]

    waiting = visitor.get(link)
    assert "waits to be read" in waiting.text()
    assert HOSTILE in waiting.text("h1")
    (looks,) = waiting.all("div", **{"hx-trigger": "every 3s"})
    with reader(demo):
        eventually(lambda: "waits to be read" not in visitor.get(looks["hx-get"]).text())
    assert "Not learned: Robin Smith lives in Oslo" in visitor.get(link).text()


def test_texts_of_a_conversation_are_erased_with_its_facts_or_without(demo: Running, visitor: Visitor) -> None:
    with reader(demo):
        for name, subject in (("monday", "Robin Smith"), ("tuesday", "Ann Lind")):
            remembered(demo, f"{subject} lives in Oslo.", conversation=name)
        path = "/memories/demo/turns/erase?conversation="
        assert visitor.get(f"{path}monday").text("h1") == "Erase the texts of “monday”?"
        assert "are to be erased" in visitor.send(f"{path}monday").text()
        visitor.send(f"{path}tuesday", facts="yes")
        demo.work()
        eventually(lambda: visitor.get("/memories/demo/conversations").text("tbody").count("erased") == 2)

    gone = visitor.get("/memories/demo/turns?conversation=tuesday")
    assert "Its text is erased" in gone.text()
    assert "Learned: an erased fact" in gone.words["li"]
    assert not [link for link in gone.links if "erase" in link]
    assert "Learned: Robin Smith lives in Oslo" in visitor.get("/memories/demo/turns?conversation=monday").words["li"]
    assert visitor.get("/memories/demo/turns?conversation=nosuch").status == 404
    assert visitor.send(f"{path}monday").status == 200


def test_conversations_and_turns_come_in_pages(
    demo: Running, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "CONVERSATIONS", 1)
    monkeypatch.setattr(conversations, "TURNS", 1)
    for name in ("monday", "tuesday"):
        list(demo.client.chat(DEMO, "hello there", conversation=name))

    first = visitor.get("/memories/demo/conversations")
    (after,) = [link for link in first.links if "after=" in link]
    assert "monday" in first.text("tbody")
    assert "tuesday" in visitor.get(after).text("tbody")
    first = visitor.get("/memories/demo/turns?conversation=monday")
    (after,) = [link for link in first.links if "after=" in link]
    assert visitor.get(after).words["h2"] == ["Turn 2, assistant"]


def test_what_executors_gave_up_is_tried_again(demo: Running, visitor: Visitor) -> None:
    path = f"/memories/demo/facts/{tell(demo)}"
    demo.work(fail=True)

    assert "the value diverged" in visitor.get(path).text("dl")
    assert "the value diverged" in visitor.get(f"{path}/retry").text()
    visitor.send(f"{path}/retry")

    assert "pending" in visitor.get(path).text("dl")


def test_a_memory_sleeps_and_its_sleep_is_drawn(demo: Running, visitor: Visitor) -> None:
    tell(demo)
    demo.work()
    begun = visitor.send("/memories/demo/sleep", kind="sleep")
    assert "in progress" in begun.text("table")
    assert begun.all("div", **{"hx-trigger": "every 3s"})
    assert visitor.send("/memories/demo/sleep", kind="nap").status == 400
    demo.work()

    slept = visitor.get("/memories/demo/sleeps")
    assert "completed" in slept.text("table")
    assert "sleep 1" in slept.text("svg")
    assert [words for words in slept.words["figcaption"] if "Hypnogram" in words]
    assert not slept.all("div", **{"hx-trigger": "every 3s"})
    assert visitor.send("/memories/demo/sleep", kind="coma").status == 400


def test_a_sleep_is_cancelled_and_rolled_back(demo: Running, visitor: Visitor) -> None:
    tell(demo)
    demo.work()
    weights = demo.client.memory(DEMO).memory.weights_digest
    demo.client.begin_sleep(DEMO)
    demo.work(until=Step.GATE)
    (link,) = [link for link in visitor.get("/memories/demo/sleeps").links if link.endswith("/cancel")]
    assert visitor.get(link).text("h1") == "Cancel the sleep of demo?"

    cancelled = visitor.send(link)

    assert "The sleep has ended" in cancelled.text()
    assert "rolled back" in cancelled.text("tbody")
    assert not [link for link in cancelled.links if link.endswith("/cancel")]
    assert demo.client.memory(DEMO).memory.weights_digest == weights
    assert "ended already" in visitor.get(link).text()
    assert visitor.get("/memories/demo/sleeps/nosuch/cancel").status == 404


@pytest.mark.parametrize("path", ["/memories", "/memories/demo/nothing", "/sign-out"])
def test_an_address_that_is_not_there_shows_a_page_to_a_browser(visitor: Visitor, path: str) -> None:
    accepted = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    answer = visitor.client.get(path, headers=accepted)

    assert answer.status_code == (405 if path == "/sign-out" else 404)
    assert answer.headers["content-type"].startswith("text/html")
    assert f"{path}&#39; does not take GET" in answer.text or f"there is nothing at &#39;{path}" in answer.text
    assert "error" in visitor.client.get(path).json(), "programs are told so in JSON"
    assert "error" in visitor.client.delete(path, headers=accepted).json()


@pytest.mark.parametrize("version", ["", "x", "-1", str(10**30), "9" * 5000])
def test_a_checkpoint_of_what_is_not_a_version_is_refused(visitor: Visitor, version: str) -> None:
    answer = visitor.client.post("/memories/demo/checkpoint", data={"name": "never", "version": version})

    assert answer.status_code == 400
    assert "version: is not a version" in answer.text


def test_a_checkpoint_is_marked_at_the_version_that_was_shown(demo: Running, visitor: Visitor) -> None:
    form = visitor.get("/memories/demo/checkpoint").fields
    tell(demo)
    visitor.client.post("/memories/demo/checkpoint", data={**form, "name": "monday"})

    assert demo.client.find_version(DEMO, "monday").version == int(form["version"])
    assert f"monday{form['version']}" in visitor.get("/memories/demo/versions").text("tbody")
    taken = visitor.send("/memories/demo/checkpoint", name="monday")
    assert taken.status == 409
    assert taken.all("input", name="name")[0]["value"] == "monday"


def test_two_versions_are_compared(demo: Running, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = tell(demo)
    demo.work()
    demo.client.mark(DEMO, "monday")
    added = tell(demo, "Oslo", "Bo Lind")
    demo.client.retract_fact(DEMO, lost)
    (since,) = [link for link in visitor.get("/memories/demo/versions").links if "before=monday" in link]

    assert "injected, stage 0, scale 1, to be withdrawn" in visitor.get(since).text("tbody")
    demo.work()
    seen = visitor.get(since)

    version = demo.client.find_version(DEMO, "monday").version
    assert seen.text("h1") == f"demo: version {version} and version {demo.client.memory(DEMO).version}"
    rows = [" ".join(row.split()) for row in seen.words["tr"]]
    assert "Aria Voss lives in Lisbon lostinjected, stage 0, scale 1withdrawn" in rows
    assert "Bo Lind lives in Oslo addednot addedinjected, stage 0, scale 1" in rows
    assert {f"/memories/demo/facts/{fact}" for fact in (lost, added)} <= set(seen.links)
    assert seen.all("input", id="before", value="monday")
    assert "same weights" in visitor.get("/memories/demo/differences?before=2&after=2").text()
    for asked, status in (("before=1&after=nosuch", 404), ("before=1&other=nosuch", 404), ("before=1:1", 400)):
        refused = visitor.get(f"/memories/demo/differences?{asked}")
        assert (refused.status, refused.text("h1")) == (status, "Versions of demo")
        assert refused.all("p", role="alert")
        assert refused.all("input", id="before", value=asked.partition("&")[0].removeprefix("before="))

    question = Question(FactId(lost), "chat", "Where does Aria live?")
    compared = Compared((Distance("mlp", 0.25, 0.001),), (AnswerChange(question, "Lisbon.", HOSTILE),), 4)
    monkeypatch.setattr(demo.parrot, "compare", lambda before, after, *, ask: compared)
    seen = visitor.get(f"{since}&ask=yes")
    rows = [" ".join(row.split()) for row in seen.words["tr"]]
    assert {"mlp0.250.001", f"Where does Aria live?in chatLisbon.{HOSTILE}"} <= set(rows)
    assert "Of 4 questions" in seen.text()


def test_versions_of_a_memory_and_of_its_fork_are_compared(forkable: None, demo: Running, visitor: Visitor) -> None:
    demo.client.fork("trial", DEMO)
    demo.client.add_facts("trial", [new_fact("Bo Lind", "lives in", "Oslo")])

    seen = visitor.get("/memories/demo/differences?before=2&other=trial")

    assert "version 2 and version 4 of trial" in seen.text("h1")
    assert [link for link in seen.links if link.startswith("/memories/trial/facts/")]
    assert "forked from demo at its version 2" in visitor.get("/memories/trial/versions").text()


def test_a_memory_is_forked_as_it_was(forkable: None, demo: Running, visitor: Visitor) -> None:
    tell(demo)
    demo.work()
    version = demo.client.memory(DEMO).version
    assert visitor.get("/memories/demo/fork").all("input", id="at", value=str(version))

    early = visitor.send("/memories/demo/fork", name="early", at="2")

    assert (early.status, early.text("h1")) == (200, "Memory early")
    assert "No facts yet" in early.text()
    assert demo.client.memory("early").memory.parent_version == 2
    for name, at, status in (("early", "2", 409), ("No Name", "2", 400), ("late", "99", 404), ("late", "nosuch", 404)):
        refused = visitor.send("/memories/demo/fork", name=name, at=at)
        assert refused.status == status
        assert refused.all("p", role="alert")
        assert [refused.all("input", id=field)[0]["value"] for field in ("name", "at")] == [name, at]
    assert {summary.memory for summary in demo.client.memories()} == {DEMO, "early"}


@pytest.mark.parametrize("method", Method)
def test_commands_that_export_are_shown_as_commands_take_them(demo: Running, visitor: Visitor, method: Method) -> None:
    demo.client.create_memory("written", method=method.value)

    shown = [shlex.split(words) for words in visitor.get("/memories/written/export").words["pre"]]

    kinds = ["archive", "merged", *(["adapter"] if method is not Method.NEURON else [])]
    assert [words[words.index("--as") + 1] for words in shown if "--as" in words] == kinds
    for _, name, *arguments in shown:
        given = COMMANDS[(name,)].make_context(name, arguments).params
        assert (given["memory"], given["at_version"]) == ("written", 1)
        assert str(given.get("path") or given["file"]).startswith("written-1")


def test_a_question_is_answered_by_the_model_as_it_is_and_as_it_was(demo: Running, visitor: Visitor) -> None:
    demo.client.mark(DEMO, "monday", version=2)
    assert visitor.get("/memories/demo/chat").all("option", value="monday")

    beside = visitor.send("/memories/demo/chat", question="Where is she?", at="monday")
    assert beside.words["h2"] == ["As it is", "As it was at monday"]
    assert beside.words["blockquote"] == ["Where is she?"] * 2
    assert "Version 2" in beside.text("article")
    assert CLEAN[:12] in beside.text("article")

    alone = visitor.send("/memories/demo/chat", question="Where is she?")
    assert alone.words["h2"] == ["As it is"]
    assert visitor.send("/memories/demo/chat", question=" ").status == 400
    generated = demo.parrot.generated
    unknown = visitor.send("/memories/demo/chat", question="hi", at="nosuch")
    assert (unknown.status, unknown.all("p", role="alert") != []) == (404, True)
    assert demo.parrot.generated == generated


def test_a_question_is_not_recorded_in_a_memory_that_remembers(demo: Running, visitor: Visitor) -> None:
    demo.client.create_memory("diary", remember="on")
    demo.work("diary")
    before = demo.client.memory("diary").version

    asked = visitor.send("/memories/diary/chat", question="Robin lives in Oslo.")

    assert asked.words["blockquote"] == ["Robin lives in Oslo."]
    assert CLEAN[:12] in asked.text("article")
    assert demo.client.memory("diary").version == before


def test_words_of_clients_stay_words(demo: Running, visitor: Visitor) -> None:
    fact = tell(demo, HOSTILE, HOSTILE)
    demo.client.retract_fact(DEMO, fact, HOSTILE)
    for path in (f"/memories/demo/facts/{fact}", "/memories/demo", f"/memories/demo/facts/{fact}/retract"):
        seen = visitor.get(path)
        assert HOSTILE in " ".join(seen.words["bdi"])
        assert [has for has in seen.all("script") if not has.get("src", "").startswith("/static/")] == []
        assert not [has for has in seen.all("svg") if "onload" in has]


@pytest.mark.parametrize("path", ["/memories/nosuch", "/memories/demo/facts/nosuch", "/memories/nosuch/chat"])
def test_what_does_not_exist_is_said_on_a_page(visitor: Visitor, path: str) -> None:
    seen = visitor.get(path)

    assert (seen.status, seen.text("h1")) == (404, "Not Found")
    assert "nosuch" in seen.text()


def test_a_form_that_is_not_one_is_refused(demo: Running, visitor: Visitor) -> None:
    path, kind = "/memories/demo/tell", {"content-type": "application/x-www-form-urlencoded"}

    assert visitor.client.post(path, json={"text": "Bo lives in Oslo."}).status_code == 415
    assert visitor.client.post(path, content=b"text=%ff", headers=kind).status_code == 400
    assert visitor.client.post(path, content=b"&".join([b"a=b"] * 100), headers=kind).status_code == 400
    large = b"text=" + b"x" * demo.settings.max_message_bytes
    assert visitor.client.post(path, content=large, headers=kind).status_code == 413
    assert facts(demo) == []

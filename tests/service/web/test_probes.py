"""What whoever runs a server asks it: whether it lives, whether it is ready, what it does."""

from __future__ import annotations

import os
from dataclasses import replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import OperationalError

from core.decide.commands import RecordInjection
from core.events.facts import Certificate
from core.ids import MemoryId
from core.state.memory import Memory
from core.state.work import Inject, next_work
from core.unchanged import Contamination, Unchanged
from hypnogram.client import new_fact
from service.rpc import health
from service.web import metrics
from store.database.executors import Executors
from tests.core.samples import edit
from tests.patience import eventually
from tests.service.conftest import DEMO, Running
from tests.service.dream import Dream
from tests.service.parrot import EXECUTOR
from tests.service.web.test_page import PAGE

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(http: httpx.Client) -> Samples:
    """The value of each sample by its name and labels."""
    answer = http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.text)
    return {(it.name, frozenset(it.labels.items())): it.value for family in families for it in family.samples}


def of(given: Samples, name: str, **labels: str) -> float:
    return given[name, frozenset(labels.items())]


def test_every_metric_is_on_the_page(http: httpx.Client) -> None:
    names = {name for name, _ in samples(http) if name.startswith("hypnogram_") and not name.endswith("_created")}

    assert {name for name in names if f"`{name.removesuffix('_bucket')}" not in PAGE} <= {
        "hypnogram_call_seconds_count",
        "hypnogram_call_seconds_sum",
    }


def test_a_server_lives_and_is_ready(http: httpx.Client) -> None:
    eventually(lambda: http.get("/readyz").status_code == 200)
    assert http.get("/livez").text == "ok\n"


def test_a_server_that_cannot_read_its_log_lives_and_is_not_ready(
    web: Running, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(position: int) -> None:
        raise OperationalError("SELECT", {}, Exception("the disk is gone"))

    monkeypatch.setattr(health, "LOOK_SECONDS", 0.1)  # between looks at a log that cannot be read
    with monkeypatch.context() as patch:
        patch.setattr(web.store.log, "moved", away)
        web.client.mark(DEMO, "now")  # so that it looks at once
        eventually(lambda: http.get("/readyz").status_code == 503)
        assert http.get("/livez").status_code == 200
    web.client.mark(DEMO, "later")
    eventually(lambda: http.get("/readyz").status_code == 200)


def test_calls_over_both_ports_are_counted_with_how_they_ended(web: Running, http: httpx.Client) -> None:
    before = samples(http)
    web.client.memory(DEMO)
    http.get("/v1/models/nosuch")
    after = samples(http)

    call, route = "/hypnogram.v1.Memories/GetMemory", "/v1/models/{model}"
    for name, code in ((call, "OK"), (route, "NOT_FOUND")):
        key = ("hypnogram_calls_total", frozenset({("call", name), ("code", code)}))
        assert after[key] == before.get(key, 0) + 1
    assert of(after, "hypnogram_call_seconds_count", call=call) >= 1
    assert of(after, "hypnogram_call_seconds_bucket", call=call, le="+Inf") >= 1


@pytest.mark.parametrize(
    ("route", "headers", "code"),
    [
        ("/memories/{memory}/tell", {"sec-fetch-site": "cross-site"}, "PERMISSION_DENIED"),
        ("/sign-in", {"sec-fetch-site": "cross-site"}, "PERMISSION_DENIED"),
        ("/sign-out", {"sec-fetch-site": "cross-site"}, "PERMISSION_DENIED"),
        ("/memories/{memory}/tell", {"content-type": "text/plain"}, "INVALID_ARGUMENT"),
        ("/v1/completions", {"content-type": "text/plain"}, "INVALID_ARGUMENT"),
        ("/mcp", {}, "OK"),
    ],
)
def test_what_is_sent_wrongly_is_counted_with_why_it_is_refused(
    http: httpx.Client, route: str, headers: dict[str, str], code: str
) -> None:
    key = ("hypnogram_calls_total", frozenset({("call", route), ("code", code)}))
    before = samples(http).get(key, 0)

    http.post(route.format(memory=DEMO), content=b"", headers=headers)

    assert samples(http)[key] == before + 1


def test_facts_and_owed_work_are_shown_for_each_memory(web: Running, http: httpx.Client) -> None:
    web.client.create_memory("counted")
    assert of(samples(http), "hypnogram_owed", memory="counted", work="statistics") == 1
    web.work("counted")
    web.client.add_facts("counted", [new_fact("Aria Voss", "lives in", "Lisbon")])
    owed = samples(http)
    web.work("counted")
    done = samples(http)

    assert of(owed, "hypnogram_owed", memory="counted", work="inject") == 1
    assert of(owed, "hypnogram_facts", memory="counted", status="pending", stage="0") == 1
    assert of(done, "hypnogram_owed", memory="counted", work="inject") == 0
    assert of(done, "hypnogram_facts", memory="counted", status="injected", stage="0") == 1
    assert of(done, "hypnogram_key_occupancy", memory="counted") == pytest.approx(0.01)
    assert of(done, "hypnogram_memory_version", memory="counted") == web.client.memory("counted").version

    web.client.delete_memory("counted")
    assert not any(("memory", "counted") in labels for _, labels in samples(http))


def test_what_was_measured_of_a_memory_is_shown(web: Running, http: httpx.Client) -> None:
    memory = MemoryId("measured")
    web.client.create_memory(memory)
    web.work(memory)
    web.client.add_facts(memory, [new_fact(name, "lives in", "Lisbon") for name in ("Aria Voss", "Bo Lind")])
    before = samples(http)
    web.states.execute(memory, injected_with_measurements, EXECUTOR)
    told = samples(http)
    _, degraded = web.states.current(memory).facts
    web.client.begin_nap(memory)
    web.work(memory, dream=Dream(degraded=[degraded]))
    audited = samples(http)

    assert of(before, "hypnogram_false_fires", memory=memory) == 0
    for name in ("hypnogram_recall", "hypnogram_fact_seconds"):
        assert (name, frozenset({("memory", memory)})) not in before
    assert of(told, "hypnogram_fact_seconds", memory=memory) == 0.75
    assert of(told, "hypnogram_false_fires", memory=memory) == 30
    assert of(told, "hypnogram_contamination", memory=memory, about="namesakes") == 0.125
    assert of(audited, "hypnogram_recall", memory=memory) == 0.5


def injected_with_measurements(state: Memory) -> RecordInjection:
    """An edit of 1.5 seconds whose detectors respond in other text, and which has changed other answers."""
    owed = next_work(state)
    assert isinstance(owed, Inject)
    computed = edit(*owed.facts, before=owed.weights)
    fires = Certificate(own=0.9, others=0.2, low=0.3, high=0.8, false_fires=15)
    said = Contamination(strangers=0.0, namesakes=0.125, untold=0.25, asked=8)
    measured = Unchanged(neighbours=1.0, strangers=1.0, unanswered=1.0, asked=8, contamination=said)
    columns = tuple(replace(column, certificate=fires) for column in computed.columns)
    return RecordInjection(edit=replace(computed, columns=columns, unchanged=measured))


def test_a_scrape_takes_its_time_alone_and_later_ones_show_the_rest(
    web: Running, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples(http)
    monkeypatch.setattr(metrics, "READ_SECONDS", 0.0)
    names = [f"late-{number}" for number in range(3)]
    for name in names:
        web.client.create_memory(name)

    scrapes = [samples(http) for _ in names]

    for name, shown in (("hypnogram_memory_version", [3, 3, 3]), ("hypnogram_key_occupancy", [1, 2, 3])):
        keys = {(name, frozenset({("memory", it)})) for it in names}
        assert [len(keys & scrape.keys()) for scrape in scrapes] == shown
    assert [of(scrape, "hypnogram_memories_unread") for scrape in scrapes] == [2, 1, 0]


def test_disk_process_and_executors_are_shown(web: Running, http: httpx.Client) -> None:
    Executors(web.store.log.engine).beat("somewhere")
    shown = samples(http)

    file = str(web.store.log.engine.url.database)
    assert of(shown, "hypnogram_disk_bytes", part="database") >= os.stat(file).st_size
    assert of(shown, "hypnogram_disk_bytes", part="artifacts") >= 0
    assert of(shown, "hypnogram_disk_free_bytes") > 0
    assert of(shown, "process_resident_memory_bytes") > 10e6
    assert of(shown, "hypnogram_executor_alive") == 1
    assert of(shown, "hypnogram_answers_running") == 0
    assert "hypnogram_gpu_bytes" not in {name for name, _ in shown}  # on a CPU


def test_a_gpu_that_the_server_computes_on_is_shown(
    web: Running, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web.parrot, "gpu", (7, 11))
    shown = samples(http)

    assert of(shown, "hypnogram_gpu_bytes", part="server") == 7
    assert of(shown, "hypnogram_gpu_bytes", part="free") == 11


def test_a_memory_that_has_not_changed_is_not_read_again(
    web: Running, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples(http)
    read: list[str] = []
    whole = web.store.log.moved

    def moved(position: int) -> object:
        listed = whole(position)
        read.extend(memory.memory for memory in listed)
        return listed

    monkeypatch.setattr(web.store.log, "moved", moved)
    samples(http)

    assert read == []

"""Requests that make no sense: a typed error that names the field, and nothing lost or written."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2
from hypnogram.v1 import chat_pb2, facts_pb2, history_pb2, memories_pb2, sleep_pb2

from core.decide.limits import MAX_PROMPTS
from hypnogram.client import CallFailed, new_fact
from tests.service.conftest import DEMO, Running

FINE = new_fact("Aria Voss", "lives in", "Lisbon")


STREAMING = ("ReadEvents", "Watch", "WatchSleep", "Chat", "Complete")


def add(*facts: facts_pb2.NewFact, **more: Any) -> tuple[str, facts_pb2.AddFactsRequest]:
    values: dict[str, Any] = {"memory": DEMO, "request_id": "r", "facts": facts} | more
    return "stubs.facts.AddFacts", facts_pb2.AddFactsRequest(**values)


def worded(**kinds: Any) -> facts_pb2.NewFact:
    words: dict[str, Any] = {
        "statements": ["Aria Voss lives in"],
        "questions": ["Where does Aria Voss live?"],
        "answer": "Aria Voss lives in",
    }
    return new_fact("Aria Voss", "lives in", "Lisbon", wordings=facts_pb2.Wordings(**(words | kinds)))


def create(**more: Any) -> tuple[str, memories_pb2.CreateMemoryRequest]:
    return "stubs.memories.CreateMemory", memories_pb2.CreateMemoryRequest(**({"memory": "new"} | more))


def tune(**values: Any) -> tuple[str, memories_pb2.CreateMemoryRequest]:
    return create(hyperparameters=memories_pb2.Hyperparameters(**values))


def train(**values: Any) -> memories_pb2.SleepPolicy:
    return memories_pb2.SleepPolicy(training=memories_pb2.Training(**values))


def sleep(**more: Any) -> tuple[str, sleep_pb2.SleepRequest]:
    return "stubs.sleep.Sleep", sleep_pb2.SleepRequest(**({"memory": DEMO, "request_id": "r"} | more))


def nap(**more: Any) -> tuple[str, sleep_pb2.NapRequest]:
    return "stubs.sleep.Nap", sleep_pb2.NapRequest(**({"memory": DEMO, "request_id": "r"} | more))


def sleeps(**more: Any) -> tuple[str, sleep_pb2.ListSleepsRequest]:
    return "stubs.sleep.ListSleeps", sleep_pb2.ListSleepsRequest(**({"memory": DEMO} | more))


def watched(**more: Any) -> tuple[str, sleep_pb2.WatchSleepRequest]:
    return "stubs.sleep.WatchSleep", sleep_pb2.WatchSleepRequest(**({"memory": DEMO} | more))


def cancel(sleep: str) -> tuple[str, sleep_pb2.CancelSleepRequest]:
    return "stubs.sleep.CancelSleep", sleep_pb2.CancelSleepRequest(memory=DEMO, sleep=sleep)


def chat(*turns: tuple[str, str], **more: Any) -> tuple[str, chat_pb2.ChatRequest]:
    messages = [chat_pb2.Message(role=role, content=content) for role, content in turns]
    return "stubs.chat.Chat", chat_pb2.ChatRequest(memory=DEMO, messages=messages, **more)


def complete(prompt: str, **more: Any) -> tuple[str, chat_pb2.CompleteRequest]:
    return "stubs.chat.Complete", chat_pb2.CompleteRequest(memory=DEMO, prompt=prompt, **more)


def listed(**more: Any) -> tuple[str, facts_pb2.ListFactsRequest]:
    return "stubs.facts.ListFacts", facts_pb2.ListFactsRequest(memory=DEMO, **more)


def wait(**more: Any) -> tuple[str, operations_pb2.WaitOperationRequest]:
    return "stubs.operations.WaitOperation", operations_pb2.WaitOperationRequest(**more)


INVALID: dict[str, tuple[tuple[str, Any], str]] = {
    # facts
    "empty subject": (add(new_fact("", "lives in", "Lisbon")), "facts[0].subject"),
    "blank relation": (add(FINE, new_fact("Bo", "  ", "Lisbon")), "facts[1].relation"),
    "empty object": (add(new_fact("Aria Voss", "lives in", "")), "facts[0].object"),
    "over-long subject": (add(new_fact("A" * 201, "lives in", "Lisbon")), "facts[0].subject"),
    "line break": (add(new_fact("Aria\nVoss", "lives in", "Lisbon")), "facts[0].subject"),
    "object in a prompt": (
        add(worded(questions=["Does Aria Voss live in Lisbon?"])),
        "facts[0].wordings.questions[0]",
    ),
    "object in the answer": (add(worded(answer="Lisbon is where Aria Voss lives:")), "facts[0].wordings.answer"),
    "prompt without subject": (add(worded(statements=["She lives in"])), "facts[0].wordings.statements[0]"),
    "no statements": (add(worded(statements=[])), "facts[0].wordings.statements"),
    "too many questions": (
        add(worded(questions=["Where does Aria Voss live?"] * (MAX_PROMPTS + 1))),
        "facts[0].wordings.questions",
    ),
    "no facts": (add(), "facts"),
    "too many facts": (add(*[new_fact(f"Aria {n}", "lives in", "Lisbon") for n in range(257)]), "facts"),
    "no request id": (add(FINE, request_id=""), "request_id"),
    "over-long request id": (add(FINE, request_id="r" * 129), "request_id"),
    "unprintable request id": (add(FINE, request_id="r\n"), "request_id"),
    "negative version": (add(FINE, expected_version=-1), "expected_version"),
    "unknown wait": (add(FINE, wait=9), "wait"),
    "negative turn": (
        add(new_fact("Aria Voss", "lives in", "Lisbon", source=facts_pb2.Source(turn=-1))),
        "facts[0].source.turn",
    ),
    "over-long span": (
        add(new_fact("Aria Voss", "lives in", "Lisbon", source=facts_pb2.Source(span="s" * 1001))),
        "facts[0].source.span",
    ),
    "NUL in span": (
        add(new_fact("Aria Voss", "lives in", "Lisbon", source=facts_pb2.Source(span="a\0b"))),
        "facts[0].source.span",
    ),
    "no memory": (add(FINE, memory=""), "memory"),
    "malformed memory": (add(FINE, memory="No Such Name"), "memory"),
    "no fact id": (("stubs.facts.GetFact", facts_pb2.GetFactRequest(memory=DEMO)), "fact"),
    "two versions": (
        ("stubs.facts.GetFact", facts_pb2.GetFactRequest(memory=DEMO, fact="f", at_version=1, min_version=1)),
        "min_version",
    ),
    "two versions to chat with": (complete("hello", at_version=1, min_version=1), "min_version"),
    "negative version to chat with": (complete("hello", at_version=-1), "at_version"),
    "temperature too high": (complete("hello", temperature=2.1), "temperature"),
    "temperature that is no number": (complete("hello", temperature=float("nan")), "temperature"),
    "negative top_p": (complete("hello", temperature=1.0, top_p=-0.1), "top_p"),
    "over-large seed to chat with": (complete("hello", seed=2**53), "seed"),
    "too many stops": (complete("hello", stop=["a"] * 5), "stop"),
    "empty stop": (complete("hello", stop=["a", ""]), "stop[1]"),
    "over-long stop": (complete("hello", stop=["a" * 201]), "stop[0]"),
    # pages
    "page too long": (listed(page_size=1001), "page_size"),
    "negative page": (listed(page_size=-1), "page_size"),
    "made-up token": (listed(page_token="next please"), "page_token"),
    "token of another listing": (listed(page_token="WyJtZW1vcmllcyIsImEiLG51bGxd"), "page_token"),
    "unknown status": (listed(status=17), "status"),
    "search without words": (listed(search=" ?!"), "search"),
    # memories
    "memory in capitals": (create(memory="Demo"), "memory"),
    "over-long memory": (create(memory="m" * 64), "memory"),
    "unknown dtype": (create(base=memories_pb2.BaseModel(dtype="float8")), "base.dtype"),
    "unknown quantization": (create(base=memories_pb2.BaseModel(quantization="int3")), "base.quantization"),
    "given digest": (create(base=memories_pb2.BaseModel(digest="d")), "base.digest"),
    "no steps": (tune(steps=0), "hyperparameters.steps"),
    "infinite clamp": (tune(clamp=float("inf")), "hyperparameters.clamp"),
    "weight that is no number": (tune(reference_weight=float("nan")), "hyperparameters.reference_weight"),
    "no capacity": (create(capacity=0.0), "capacity"),
    "infinite capacity": (create(capacity=float("inf")), "capacity"),
    "gate above one": (create(sleep=memories_pb2.SleepPolicy(gate=1.5)), "sleep.gate"),
    "rank of no column": (create(sleep=train(rank=0)), "sleep.training.rank"),
    # sleep
    "no request id to sleep": (sleep(request_id=""), "request_id"),
    "over-long request id to sleep": (sleep(request_id="r" * 129), "request_id"),
    "unprintable request id to sleep": (sleep(request_id="r\n"), "request_id"),
    "negative seed": (sleep(seed=-1), "seed"),
    "over-large seed": (sleep(seed=2**53), "seed"),
    "rising scales": (sleep(policy=memories_pb2.SleepPolicy(scales=[1.0, 0.0, 0.5])), "policy.scales"),
    "learning rate that is no number": (
        sleep(policy=train(learning_rate=float("nan"))),
        "policy.training.learning_rate",
    ),
    "no probes in a nap": (nap(policy=memories_pb2.SleepPolicy(probes=0)), "policy.probes"),
    "cancelling nothing": (cancel(""), "sleep"),
    "page of sleeps too long": (sleeps(page_size=1001), "page_size"),
    # history
    "read from before the first": (
        ("stubs.history.ReadEvents", history_pb2.ReadEventsRequest(memory=DEMO, after_version=-1)),
        "after_version",
    ),
    "watch from before the first": (
        ("stubs.history.Watch", history_pb2.WatchRequest(memory=DEMO, after_version=-1)),
        "after_version",
    ),
    "replay of a negative version": (
        ("stubs.history.Replay", history_pb2.ReplayRequest(memory=DEMO, version=-1)),
        "version",
    ),
    # chat
    "no messages": (chat(), "messages"),
    "unknown role": (chat(("robot", "hello")), "messages[0].role"),
    "empty message": (chat(("user", "hello"), ("user", " ")), "messages[1].content"),
    "last word not the user's": (chat(("user", "hello"), ("assistant", "hi")), "messages[1].role"),
    "too many messages": (chat(*[("user", "hello")] * 257), "messages"),
    "over-long message": (chat(("user", "a" * 32_001)), "messages[0].content"),
    "too many tokens": (chat(("user", "hello"), max_tokens=4097), "max_tokens"),
    "empty prompt": (complete(""), "prompt"),
    "negative tokens": (complete("hello", max_tokens=-1), "max_tokens"),
}

NOT_FOUND: dict[str, tuple[str, Any, str]] = {
    "memory to add to": (*add(FINE, memory="nowhere"), "MEMORY_UNKNOWN"),
    "memory to get": ("stubs.memories.GetMemory", memories_pb2.GetMemoryRequest(memory="nowhere"), "MEMORY_UNKNOWN"),
    "memory to read": (
        "stubs.history.ReadEvents",
        history_pb2.ReadEventsRequest(memory="nowhere"),
        "MEMORY_UNKNOWN",
    ),
    "memory to watch": ("stubs.history.Watch", history_pb2.WatchRequest(memory="nowhere"), "MEMORY_UNKNOWN"),
    "memory to chat with": (
        "stubs.chat.Complete",
        chat_pb2.CompleteRequest(memory="nowhere", prompt="hello"),
        "MEMORY_UNKNOWN",
    ),
    "fact": ("stubs.facts.GetFact", facts_pb2.GetFactRequest(memory=DEMO, fact="none"), "FACT_UNKNOWN"),
    "lineage": ("stubs.facts.GetLineage", facts_pb2.GetLineageRequest(memory=DEMO, fact="none"), "FACT_UNKNOWN"),
    "version": (
        "stubs.memories.GetMemory",
        memories_pb2.GetMemoryRequest(memory=DEMO, at_version=99),
        "VERSION_UNKNOWN",
    ),
    "version zero": (
        "stubs.memories.GetMemory",
        memories_pb2.GetMemoryRequest(memory=DEMO, at_version=0),
        "VERSION_UNKNOWN",
    ),
    "future": (*listed(min_version=99), "VERSION_UNKNOWN"),
    "version to replay": (
        "stubs.history.Replay",
        history_pb2.ReplayRequest(memory=DEMO, version=99),
        "VERSION_UNKNOWN",
    ),
    "version to watch after": (
        "stubs.history.Watch",
        history_pb2.WatchRequest(memory=DEMO, after_version=99),
        "VERSION_UNKNOWN",
    ),
    "version to chat with": (*complete("hello", min_version=99), "VERSION_UNKNOWN"),
    "operation": (*wait(name="operations/none"), "OPERATION_UNKNOWN"),
    "memory to put to sleep": (*sleep(memory="nowhere"), "MEMORY_UNKNOWN"),
    "memory whose sleeps to list": (*sleeps(memory="nowhere"), "MEMORY_UNKNOWN"),
    "sleep": ("stubs.sleep.GetSleep", sleep_pb2.GetSleepRequest(memory=DEMO, sleep="none"), "SLEEP_UNKNOWN"),
    "any sleep": ("stubs.sleep.GetSleep", sleep_pb2.GetSleepRequest(memory=DEMO), "SLEEP_UNKNOWN"),
    "sleep to watch": (*watched(), "SLEEP_UNKNOWN"),
    "memory whose sleep to watch": (*watched(memory="nowhere"), "MEMORY_UNKNOWN"),
    "sleep to cancel": (*cancel("none"), "SLEEP_UNKNOWN"),
}


def call(server: Running, method: str, request: Any) -> CallFailed:
    """How the call failed."""
    name = method.rpartition(".")[2]
    caller = server.client.stream if name in STREAMING else server.client.call
    with pytest.raises(CallFailed) as failure:
        next(caller(attrgetter(method)(server.client), request, 10))
    return failure.value


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One server for the whole table: refused requests leave it as it was, which is what is tested."""
    from tests.service.conftest import run_server, settings_in

    with run_server(settings_in(tmp_path_factory.mktemp("bad-input"))) as running:
        running.client.create_memory(DEMO)
        running.work()
        yield running


@pytest.mark.parametrize("case", INVALID)
def test_a_wrong_field_is_named_and_nothing_is_written(shared: Running, case: str) -> None:
    (method, request), field = INVALID[case]
    failure = call(shared, method, request)

    assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert list(failure.fields) == [field]
    assert failure.metadata["field"] == field
    assert shared.store.log.position() == 2


@pytest.mark.parametrize("case", NOT_FOUND)
def test_what_is_not_there_is_not_found(shared: Running, case: str) -> None:
    method, request, reason = NOT_FOUND[case]
    failure = call(shared, method, request)

    assert (failure.code, failure.reason) == ("NOT_FOUND", reason)
    assert shared.store.log.position() == 2


def test_a_model_that_is_not_there_is_unavailable_and_no_memory_is_created(shared: Running) -> None:
    failure = call(shared, *create(base=memories_pb2.BaseModel(name="/no/such/model")))

    assert (failure.code, failure.reason) == ("FAILED_PRECONDITION", "MODEL_UNAVAILABLE")
    assert [one.memory for one in shared.client.memories()] == [DEMO]


@pytest.mark.parametrize("seconds", [-1, 10**14])  # the latter holds in a message and in no timedelta
def test_a_timeout_that_makes_no_sense_is_named(shared: Running, seconds: int) -> None:
    started = shared.client.stubs.history.Replay(history_pb2.ReplayRequest(memory=DEMO))
    failure = call(shared, *wait(name=started.name, timeout={"seconds": seconds}))

    assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert list(failure.fields) == ["timeout"]


def test_a_message_over_the_limit_is_refused(shared: Running) -> None:
    span = "s" * (5 * 1024 * 1024)
    failure = call(shared, *add(new_fact("Aria Voss", "lives in", "Lisbon", source=facts_pb2.Source(span=span))))

    assert failure.code == "RESOURCE_EXHAUSTED"
    assert shared.store.log.position() == 2


def test_metadata_over_the_limit_is_refused(shared: Running) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        shared.client.stubs.memories.ListMemories(
            memories_pb2.ListMemoriesRequest(), metadata=(("hypnogram-actor", "a" * 201),)
        )

    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT

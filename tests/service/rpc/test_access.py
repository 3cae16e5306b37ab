"""A server that asks for tokens: every call of every service, with none, wrong ones and those of others."""

from __future__ import annotations

import random
import string
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from hypnogram.v1 import facts_pb2, memories_pb2

from hypnogram.client import CallFailed, Client, new_fact
from service.app import forks
from service.guard import limits
from service.rpc import interceptor
from service.rpc.health import health_name
from service.rpc.rights import NEEDS, needs
from service.rpc.server import SERVICES
from service.settings import Settings
from store.database.tokens import Tokens
from tests.patience import PATIENCE, eventually
from tests.service.conftest import DEMO, Running, run_server, settings_in

OTHER = "other"
MADE_UP, BATCH = 2000, 10  # tokens; calls of one method that are under way at the same time
POOL = descriptor_pool.Default()
METHODS: dict[str, MethodDescriptor] = {
    f"/{service}/{method.name}": method for service in SERVICES for method in POOL.FindServiceByName(service).methods
}


@dataclass
class Guarded:
    """A server with a token for each right on each of two memories."""

    running: Running
    texts: dict[str, str]

    def client(self, name: str) -> Client:
        return Client(self.running.address, actor="mallory", token=self.texts[name])


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with run_server(settings_in(tmp_path_factory.mktemp("guarded"))) as running:
        for memory in (DEMO, OTHER):
            running.client.create_memory(memory)
            running.work(memory)
        tokens, texts = Tokens(running.store.log.engine), dict[str, str]()
        for memory, may in ((DEMO, "read"), (DEMO, "write"), (DEMO, "admin"), (OTHER, "admin"), ("*", "admin")):
            texts[f"{memory} {may}"] = tokens.create(actor=f"{may} of {memory}", memory=memory, may=may)[1]
        texts["expired"] = tokens.create(actor="", memory="*", may="admin", seconds=0)[1]
        revoked, texts["revoked"] = tokens.create(actor="", memory="*", may="admin")
        tokens.revoke(revoked.id)
        texts["none"], texts["wrong"] = "", texts["* admin"][:-3] + "AAA"
        eventually(lambda: not _open(running))
        yield Guarded(running, texts)


def _open(running: Running) -> bool:
    try:
        list(running.client.memories())
    except CallFailed:
        return False
    return True


def filled(descriptor: Descriptor) -> Message:
    """A request in which every text is the name of the memory `demo`."""
    request = message_factory.GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if field.is_repeated:
            continue
        if field.type == FieldDescriptor.TYPE_STRING:
            setattr(request, field.name, DEMO)
        elif field.message_type and field.message_type.name == "Side":
            getattr(request, field.name).memory = DEMO
    return request


def call(channel: grpc.Channel, method: str, token: str, request: Message | None = None) -> list[Message]:
    """Every response of a call, at most one of a stream."""
    described = METHODS[method]
    request = filled(described.input_type) if request is None else request
    answer = message_factory.GetMessageClass(described.output_type)
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    make: Any = channel.unary_stream if described.server_streaming else channel.unary_unary
    stub = make(method, request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString)
    responses = stub(request, timeout=PATIENCE, metadata=metadata)
    return [next(responses)] if described.server_streaming else [responses]


def code_of(channel: grpc.Channel, method: str, token: str) -> str:
    try:
        call(channel, method, token)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def test_every_call_says_what_it_needs() -> None:
    assert set(NEEDS) == set(METHODS)


@pytest.mark.parametrize("token", ["none", "wrong", "expired", "revoked"])
def test_no_call_is_made_without_a_valid_token(guarded: Guarded, token: str) -> None:
    channel = guarded.running.client.stubs.channel

    answers = {method: code_of(channel, method, guarded.texts[token]) for method in METHODS}

    assert set(answers.values()) == {"UNAUTHENTICATED"}


def test_the_token_of_another_memory_reaches_nothing(guarded: Guarded) -> None:
    channel, token = guarded.running.client.stubs.channel, guarded.texts["other admin"]
    version = guarded.running.states.current(DEMO).version  # type: ignore[arg-type]

    answers = {method: code_of(channel, method, token) for method in METHODS if needs_memory(method)}

    assert set(answers.values()) == {"PERMISSION_DENIED"}
    assert guarded.running.states.current(DEMO).version == version  # type: ignore[arg-type]


def needs_memory(method: str) -> bool:
    return bool(needs(method, filled(METHODS[method].input_type)))


def test_listings_show_what_the_token_may_read(guarded: Guarded) -> None:
    with guarded.client("demo read") as demo, guarded.client("other admin") as other, guarded.client("* admin") as all_:
        assert [memory.memory for memory in demo.memories()] == [DEMO]
        assert [memory.memory for memory in other.memories()] == [OTHER]
        assert [memory.memory for memory in all_.memories()] == [DEMO, OTHER]


def test_operations_are_those_of_memories_that_the_token_may_read(guarded: Guarded) -> None:
    with guarded.client("demo read") as demo, guarded.client("other admin") as other:
        demo.replay(DEMO)
        listed = demo.stubs.operations.ListOperations(
            operations_pb2.ListOperationsRequest(), metadata=bearer(guarded.texts["demo read"])
        )
        (operation,) = listed.operations
        hidden = other.stubs.operations.ListOperations(
            operations_pb2.ListOperationsRequest(), metadata=bearer(guarded.texts["other admin"])
        )
        assert not hidden.operations
        for method, kind in (
            ("GetOperation", operations_pb2.GetOperationRequest),
            ("WaitOperation", operations_pb2.WaitOperationRequest),
            ("CancelOperation", operations_pb2.CancelOperationRequest),
            ("DeleteOperation", operations_pb2.DeleteOperationRequest),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                getattr(other.stubs.operations, method)(
                    kind(name=operation.name), metadata=bearer(guarded.texts["other admin"])
                )
            assert refused.value.code() == grpc.StatusCode.NOT_FOUND
        with pytest.raises(grpc.RpcError) as forbidden:
            demo.stubs.operations.CancelOperation(
                operations_pb2.CancelOperationRequest(name=operation.name), metadata=bearer(guarded.texts["demo read"])
            )
        assert forbidden.value.code() == grpc.StatusCode.PERMISSION_DENIED


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def test_who_may_read_may_not_write_and_who_may_write_may_not_delete(guarded: Guarded) -> None:
    fact = new_fact("Aria Voss", "lives in", "Lisbon")
    with guarded.client("demo read") as reader, guarded.client("demo write") as writer:
        assert reader.memory(DEMO).version
        assert list(reader.chat(DEMO, "hello"))
        with pytest.raises(CallFailed) as read_only:
            reader.add_facts(DEMO, [fact])
        with pytest.raises(CallFailed) as recorded:
            list(reader.chat(DEMO, "hello", conversation="monday"))
        writer.add_facts(DEMO, [fact])
        assert list(writer.chat(DEMO, "hello", conversation="monday"))
        with pytest.raises(CallFailed) as not_admin:
            writer.delete_memory(DEMO)

    assert (read_only.value.code, read_only.value.reason) == ("PERMISSION_DENIED", "NOT_PERMITTED")
    assert read_only.value.metadata == {"right": "write", "memory": DEMO}
    assert not_admin.value.metadata["right"] == "admin"
    assert recorded.value.metadata["right"] == "write"


def test_who_acts_is_told_by_the_token_and_not_by_the_client(guarded: Guarded) -> None:
    with guarded.client("demo write") as writer:
        version = writer.add_facts(DEMO, [new_fact("Bo Lind", "lives in", "Oslo")]).version
        (event,) = writer.events(DEMO, after_version=version - 1)

    assert event.actor == "write of demo"


def test_a_fork_needs_both_memories(guarded: Guarded) -> None:
    with guarded.client("other admin") as other, guarded.client("* admin") as admin:
        with pytest.raises(CallFailed) as refused:
            other.fork(OTHER, DEMO)
        with pytest.raises(CallFailed) as taken:
            admin.fork(OTHER, DEMO)

    assert (refused.value.code, taken.value.code) == ("PERMISSION_DENIED", "ALREADY_EXISTS")


def test_the_health_of_the_server_is_open_and_that_of_a_memory_is_not(guarded: Guarded) -> None:
    with guarded.client("none") as stranger:
        assert stranger.up(PATIENCE)
        eventually(stranger.serving)
        with pytest.raises(grpc.RpcError) as refused:
            stranger.stubs.health.Check(health_request(DEMO))
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    with guarded.client("demo read") as reader:
        eventually(lambda: reader.serving(health_name(DEMO)))  # type: ignore[arg-type]


def health_request(memory: str) -> Any:
    return health_pb2.HealthCheckRequest(service=f"hypnogram.v1.Chat/{memory}")


def test_what_the_contract_is_everyone_may_know(guarded: Guarded) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(guarded.running.client.stubs.channel)

    assert list(stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")])))


def test_a_watch_ends_when_its_token_is_revoked(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interceptor, "RECOGNIZED_SECONDS", 0.0)
    tokens = Tokens(guarded.running.store.log.engine)
    token, text = tokens.create(actor="", memory=DEMO, may="read")
    with Client(guarded.running.address, token=text) as client, guarded.client("demo write") as writer:
        watching = client.watch(DEMO, timeout=PATIENCE)
        next(watching)
        tokens.revoke(token.id)
        writer.add_facts(DEMO, [new_fact("Cy Ames", "lives in", "Rome")])
        with pytest.raises(CallFailed) as ended:
            list(watching)

    assert ended.value.code == "UNAUTHENTICATED"


def test_a_watch_from_before_the_first_token_ends_once_there_is_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interceptor, "RECOGNIZED_SECONDS", 0.0)
    with run_server(settings) as running:
        running.client.create_memory(DEMO)
        watching = running.client.watch(DEMO, timeout=PATIENCE)
        next(watching)
        _, text = Tokens(running.store.log.engine).create(actor="", memory=DEMO, may="admin")
        eventually(lambda: refused(running.client))
        with Client(running.address, token=text) as writer:
            writer.add_facts(DEMO, [new_fact("Cy Ames", "lives in", "Rome")])
        with pytest.raises(CallFailed) as ended:
            list(watching)

    assert ended.value.code == "UNAUTHENTICATED"


def refused(client: Client) -> bool:
    try:
        client.memory(DEMO)
    except CallFailed as failure:
        return failure.code == "UNAUTHENTICATED"
    return False


def made_up(known: Sequence[str]) -> Iterator[str]:
    """Tokens that differ from a known one in a character, without end."""
    draw = random.Random(7)
    while True:
        token = draw.choice(known) or "hyp_a_b"
        place = draw.randrange(len(token))
        token = token[:place] + draw.choice(string.printable[:94]) + token[place + draw.randrange(2) :]
        if token not in known:
            yield token


def raw(channel: grpc.Channel, method: str) -> tuple[Callable[[bytes, str], Any], bytes]:
    """Returns what begins a call with a token, and the request for it."""
    described = METHODS[method]
    request = filled(described.input_type).SerializeToString()
    make: Any = channel.unary_stream(method) if described.server_streaming else channel.unary_unary(method).future

    def begin(request: bytes, token: str) -> Any:
        return make(request, timeout=PATIENCE, metadata=(("authorization", f"Bearer {token}"),))

    return begin, request


def test_made_up_tokens_reach_nothing(guarded: Guarded) -> None:
    channel, made = guarded.running.client.stubs.channel, made_up(list(guarded.texts.values()))
    stubs = [raw(channel, method) for method in METHODS]
    for _ in range(MADE_UP // (BATCH * len(stubs))):
        calls = [stub(request, token) for stub, request in stubs for token in islice(made, BATCH)]
        assert {answer.code() for answer in calls} == {grpc.StatusCode.UNAUTHENTICATED}
    tokens = Tokens(guarded.running.store.log.engine)
    assert [token for token in islice(made, 7000) if tokens.find(token) is not None] == []


def test_a_client_that_calls_too_often_is_told_when_to_call_again(settings: Settings) -> None:
    with run_server(settings.model_copy(update={"client_requests": 3})) as running:
        for _ in range(3):
            list(running.client.memories())
        with pytest.raises(grpc.RpcError) as refused:
            running.client.stubs.memories.ListMemories(memories_pb2.ListMemoriesRequest())
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert 0 < retry_seconds(refused.value) <= 20


def test_a_client_gets_so_many_answers_at_the_same_time(settings: Settings) -> None:
    with run_server(settings.model_copy(update={"client_streams": 1})) as running:
        running.client.create_memory(DEMO)
        running.work()
        running.parrot.think_until = threading.Event()
        first = running.client.chat(DEMO, "hello")
        thread = threading.Thread(target=lambda: list(first))
        thread.start()
        eventually(lambda: running.parrot.thinking)
        with pytest.raises(CallFailed) as refused:
            list(running.client.chat(DEMO, "hello"))
        running.parrot.think_until.set()
        thread.join(PATIENCE)
        running.parrot.think_until = None
        assert list(running.client.chat(DEMO, "hello"))

    assert (refused.value.code, refused.value.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_ANSWERS")


def test_facts_are_limited_by_how_many_are_told_and_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MINUTE", 6000.0)  # so that no time passes
    with run_server(settings.model_copy(update={"client_facts": 3})) as running:
        running.client.create_memory(DEMO)
        running.work()
        looked = [new_fact(name, "lives in", "Lima") for name in ("Di Lind", "Ed Lind", "Flo Lind", "Gus Lind")]
        running.client.add_facts(DEMO, looked, validate_only=True)
        told = running.client.tell_text(DEMO, "Ann Lind lives in Oslo. Robin Smith lives in Bergen.")
        assert sum(candidate.result.added for candidate in told.candidates) == 2
        running.client.add_facts(DEMO, [new_fact("Bo Lind", "lives in", "Lima")])
        request = facts_pb2.AddFactsRequest(memory=DEMO, facts=[new_fact("Cy Lind", "lives in", "Lima")])
        with pytest.raises(grpc.RpcError, match="has its 3 facts a minute") as refused:
            running.client.stubs.facts.AddFacts(request)
        assert len(list(running.client.facts(DEMO))) == 3

    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert 0 < retry_seconds(refused.value) <= 2000


def test_a_memory_that_shares_a_fact_is_named_to_its_readers_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forks, "check_whole", lambda store, command: None)  # because parrots store no artifacts
    with run_server(settings) as running:
        running.client.create_memory(DEMO)
        running.work()
        fact = running.client.add_facts(DEMO, [new_fact("Ann Lind", "lives in", "Oslo")]).results[0].fact.fact
        running.work()
        running.client.fork("secret", DEMO)
        tokens = Tokens(running.store.log.engine)
        refused = dict[str, str]()
        for memory in (DEMO, "*"):
            text = tokens.create(actor="ann", memory=memory, may="write")[1]
            eventually(lambda: not _open(running))
            with Client(running.address, token=text) as client, pytest.raises(CallFailed) as failure:
                client.retract_fact(DEMO, fact, erase=True)
            assert failure.value.reason == "FACT_HELD"
            refused[memory] = f"{failure.value} {failure.value.metadata}"

    assert "secret" not in refused[DEMO]
    assert "secret" in refused["*"]


def retry_seconds(error: Any) -> float:
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in status_pb2.Status.FromString(details).details)
    return float(retry.retry_delay.ToTimedelta().total_seconds())


def test_a_server_asks_for_tokens_from_the_start_where_it_is_told_to(settings: Settings) -> None:
    strict = settings.model_copy(update={"require_tokens": True})
    with run_server(strict) as running, pytest.raises(CallFailed) as refused:
        list(running.client.memories())

    assert refused.value.code == "UNAUTHENTICATED"


def test_a_server_with_tokens_may_be_reached_from_other_machines(settings: Settings) -> None:
    with run_server(settings) as running:
        Tokens(running.store.log.engine).create(actor="", memory="*", may="admin")
    with run_server(settings.model_copy(update={"host": "0.0.0.0"})) as public, pytest.raises(CallFailed):
        list(public.client.memories())

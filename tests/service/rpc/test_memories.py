"""Memories created and read over the wire."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypnogram.v1 import memories_pb2

from core.hyperparameters import RANGES, Hyperparameters
from core.policy import SleepPolicy, Training, changed_policy
from hypnogram.client import CallFailed, new_fact
from service.rpc.messages.policy import given, policy_message
from tests.service.conftest import DEMO, Running


def test_a_memory_is_created_with_defaults_and_without_weights_measured_yet(server: Running) -> None:
    answer = server.client.create_memory(DEMO)

    assert answer.version == 1
    assert answer.memory.base.name == "parrot"
    assert not answer.memory.statistics_prepared
    assert answer.memory.weights_digest == ""
    assert list(answer.memory.relations) == ["lives in"]


def test_creating_the_same_memory_again_answers_as_the_first_time(server: Running) -> None:
    first = server.client.create_memory(DEMO)

    assert server.client.create_memory(DEMO) == first


def test_hyperparameters_that_were_given_replace_the_defaults(server: Running) -> None:
    given = memories_pb2.Hyperparameters(steps=7, history=False)
    answer = server.client.create_memory(DEMO, hyperparameters=given)

    assert (answer.memory.hyperparameters.steps, answer.memory.hyperparameters.history) == (7, False)
    assert answer.memory.hyperparameters.clamp == 0.5  # the default


def test_every_hyperparameter_is_in_the_contract_and_checked() -> None:
    names = {field.name for field in fields(Hyperparameters)}

    assert set(memories_pb2.Hyperparameters.DESCRIPTOR.fields_by_name) == names
    assert set(RANGES) == names


def test_every_value_of_a_policy_of_sleep_is_in_the_contract() -> None:
    for message, kind in ((memories_pb2.SleepPolicy, SleepPolicy), (memories_pb2.Training, Training)):
        assert list(message.DESCRIPTOR.fields_by_name) == [field.name for field in fields(kind)]

    other = SleepPolicy(scales=(1.0, 0.0), gate=0.5, restful=7, training=Training(rank=3, enough=0.5))
    assert changed_policy(SleepPolicy(), given(policy_message(other)), "policy") == other
    assert given(memories_pb2.SleepPolicy()) == {}


def test_a_name_that_is_taken_is_refused_and_the_memory_stays(server: Running) -> None:
    server.client.create_memory(DEMO)
    with pytest.raises(CallFailed) as failure:
        server.client.create_memory(DEMO, memories_pb2.BaseModel(dtype="float16"))

    assert (failure.value.code, failure.value.reason) == ("ALREADY_EXISTS", "MEMORY_EXISTS")
    assert server.client.memory(DEMO).version == 1


def test_a_memory_is_read_as_it_was(demo: Running) -> None:
    demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")])
    demo.work()

    now, then = demo.client.memory(DEMO), demo.client.memory(DEMO, at_version=2)
    assert (now.memory.facts.injected, now.memory.key_occupancy, now.memory.edits) == (1, 0.01, 1)
    assert (then.memory.facts.injected, then.memory.key_occupancy, then.version) == (0, 0.0, 2)
    assert now.memory.weights_digest != then.memory.weights_digest
    assert now.memory.created_at == then.memory.created_at


def test_memories_are_listed_in_pages_by_name(server: Running) -> None:
    names = [f"memory-{letter}" for letter in "abcde"]
    for name in reversed(names):
        server.client.create_memory(name)
    first = server.client.stubs.memories.ListMemories(memories_pb2.ListMemoriesRequest(page_size=2))

    assert [(one.memory, one.version) for one in first.memories] == [("memory-a", 1), ("memory-b", 1)]
    assert [one.memory for one in server.client.memories()] == names


def test_memories_survive_the_server(server: Running) -> None:
    from tests.service.conftest import run_server

    server.client.create_memory(DEMO)
    added = server.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")])
    with run_server(server.settings) as second:
        assert second.client.memory(DEMO).version == added.version

"""Creating a memory."""

from dataclasses import replace

import pytest

from core.decide import decide
from core.decide.commands import RebaseMemory
from core.errors.base import MemoryExists, MemoryUnknown
from core.events.history import MemoryRebased
from core.evolve import fold
from core.ids import MemoryId
from core.state.memory import NOTHING
from tests.core.samples import CREATE, CREATED, READY, digest, when


def test_a_memory_is_created_once() -> None:
    assert when(command=CREATE) == (CREATED,)


def test_creating_it_again_with_the_same_settings_changes_nothing() -> None:
    assert when(CREATED, command=CREATE) == ()


def test_creating_it_again_after_an_upgrade_changes_nothing_although_more_is_recorded_now() -> None:
    base = replace(CREATED.base, digest=digest("more files"), digest_rule=2)
    now = replace(CREATED, base=base, keys_per_fact=3.0)

    assert when(CREATED, command=replace(CREATE, created=now)) == ()
    for other in (replace(now, base=replace(base, name="another")), replace(now, seed=2)):
        with pytest.raises(MemoryExists):
            when(CREATED, command=replace(CREATE, created=other))


def test_creating_it_again_with_other_settings_is_refused_and_names_the_memory() -> None:
    other = replace(CREATE, created=replace(CREATED, seed=2))

    with pytest.raises(MemoryExists, match="'demo'") as refusal:
        when(CREATED, command=other)

    assert refusal.value.metadata == {"memory": "demo"}


MOVED = RebaseMemory(memory=MemoryId("demo"), name="/elsewhere", revision="")


def test_a_base_that_has_moved_is_the_same_by_another_name() -> None:
    (event,) = when(*READY, command=MOVED)
    assert event == MemoryRebased(name="/elsewhere", revision="")

    memory = fold((*READY, event))

    assert memory.created == replace(CREATED, base=replace(CREATED.base, name="/elsewhere"))
    assert decide(memory, MOVED) == ()


def test_where_there_is_no_memory_no_base_moves() -> None:
    with pytest.raises(MemoryUnknown, match="'demo'"):
        decide(NOTHING, MOVED)

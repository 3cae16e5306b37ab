"""Names for versions."""

import pytest

from core.decide import decide
from core.decide.commands import MarkCheckpoint
from core.errors.base import InvalidField, VersionUnknown
from core.errors.history import CheckpointTaken
from core.events.history import CheckpointMarked
from core.ids import MemoryId
from core.state.memory import Checkpoint, Memory
from core.state.plan import plan
from tests.core.sleep_samples import ASLEEP, AWAKE, do


def mark(name: str = "monday", version: int = 2) -> MarkCheckpoint:
    return MarkCheckpoint(memory=MemoryId("demo"), name=name, version=version, weights=AWAKE.weights)


@pytest.mark.parametrize("memory", [AWAKE, ASLEEP], ids=["awake", "asleep"])
def test_a_version_gets_a_name_and_nothing_else_changes(memory: Memory) -> None:
    assert decide(memory, mark()) == (CheckpointMarked(name="monday", version=2, weights=AWAKE.weights),)

    marked = do(memory, mark())

    assert dict(marked.checkpoints) == {
        "monday": Checkpoint(name="monday", version=2, weights=AWAKE.weights, marked=memory.version + 1)
    }
    assert (plan(marked), marked.facts, marked.weights) == (plan(memory), memory.facts, memory.weights)


def test_a_version_may_have_two_names() -> None:
    marked = do(AWAKE, mark("monday"), mark("before-the-move"))

    assert [one.version for one in marked.checkpoints.values()] == [2, 2]


def test_marking_the_same_version_again_changes_nothing_and_another_one_is_refused() -> None:
    marked = do(AWAKE, mark())

    assert decide(marked, mark()) == ()
    with pytest.raises(CheckpointTaken, match="version 2"):
        decide(marked, mark(version=3))


def test_the_first_and_the_newest_version_can_be_marked_and_none_beyond_them() -> None:
    for version in (1, AWAKE.version):
        assert decide(AWAKE, mark(version=version))
    for version in (0, -1, AWAKE.version + 1):
        with pytest.raises(VersionUnknown):
            decide(AWAKE, mark(version=version))


@pytest.mark.parametrize("name", ["", "17", "a b", "-a", ".a", "a" * 64, "a\n", "é"])
def test_a_name_that_reads_as_something_else_is_refused(name: str) -> None:
    with pytest.raises(InvalidField, match="name"):
        decide(AWAKE, mark(name))


@pytest.mark.parametrize("name", ["a", "v1.2", "2026-11-24", "a" * 63, "before_the-move"])
def test_other_names_are_good(name: str) -> None:
    assert decide(AWAKE, mark(name))

"""What sets two versions apart, over the wire, on a memory of random weights."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypnogram.v1 import history_pb2, memories_pb2

from core.moments import Moment
from core.state.plan import plan
from core.weights.evaluation.probes import Probe, run_probes
from hypnogram.client import CallFailed
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from service.weights.projection import build
from tests.prepared import DEMO, state_of, tell, work
from tests.service.conftest import Running
from tests.service.rpc.history.test_forks import TRIAL, lived, served

__all__ = ["lived", "served"]


def changed(diff: history_pb2.DiffResponse) -> list[tuple[str, str, str, str]]:
    """Subject, change, and the status on both sides."""
    return [
        (one.subject, history_pb2.Change.Name(one.change).removeprefix("CHANGE_"), one.from_status, one.to_status)
        for one in diff.facts
    ]


@pytest.mark.parametrize("ask", [False, True])
@pytest.mark.parametrize("at", [None, "monday", 1])
def test_a_version_does_not_differ_from_itself(served: Running, at: Moment, ask: bool) -> None:
    found = served.client.diff((DEMO, at), (DEMO, at), ask=ask)

    assert (list(found.facts), list(found.answers)) == ([], [])
    assert found.from_version == found.to_version
    assert found.from_weights == found.to_weights
    assert [one.norm for one in found.modules] == [0.0] * len(found.modules) != []


def test_a_fact_told_between_two_versions_is_added_and_the_other_way_round_lost(served: Running) -> None:
    then, now = (DEMO, "monday"), (DEMO, None)
    there, back = served.client.diff(then, now), served.client.diff(now, then)

    assert changed(there) == [("Bo Lind", "ADDED", "", "STATUS_INJECTED")]
    assert changed(back) == [("Bo Lind", "LOST", "STATUS_INJECTED", "")]
    (told,) = there.facts
    assert (told.relation, told.object, told.to_stage, told.to_scale) == ("lives in", "Lima", 0, 1.0)
    assert there.to_weights == back.from_weights == state_of(served.store).weights


def test_a_fact_that_was_written_meanwhile_has_moved(served: Running) -> None:
    added = served.client.fact(DEMO, next(served.client.facts(DEMO)).fact).fact.added_version

    assert changed(served.client.diff((DEMO, added), (DEMO, "monday"))) == [
        ("Aria Moss", "MOVED", "STATUS_PENDING", "STATUS_INJECTED")
    ]


def test_a_fact_that_was_taken_back_is_lost(served: Running, bases: BaseModels) -> None:
    fact = next(served.client.facts(DEMO))
    before = served.client.memory(DEMO).version
    served.client.retract_fact(DEMO, fact.fact)
    retracted = served.client.memory(DEMO).version
    work(served.store, bases)

    assert changed(served.client.diff((DEMO, before), (DEMO, None))) == [
        ("Aria Moss", "LOST", "STATUS_INJECTED", "STATUS_WITHDRAWN")
    ]
    assert changed(served.client.diff((DEMO, before), (DEMO, retracted))) == [
        ("Aria Moss", "LOST", "STATUS_INJECTED", "STATUS_INJECTED")
    ]
    assert changed(served.client.diff((DEMO, retracted), (DEMO, None))) == []  # it stood on neither side


def test_the_norms_are_those_of_the_weights(served: Running, bases: BaseModels) -> None:
    found = served.client.diff((DEMO, "monday"), (DEMO, None))
    now = state_of(served.store)
    then = served.states.at(DEMO, found.from_version)
    assert now.created is not None
    model, deltas = bases.clone(now.created), DeltaStore(served.store.artifacts, served.store.log.keyring)
    one, other = (build(model, deltas, plan(state)) for state in (then, now))

    for module in found.modules:
        norm = (one[module.module] - other[module.module]).norm()
        assert module.norm > 0
        assert module.norm == pytest.approx(float(norm), rel=1e-4)
        assert module.relative == pytest.approx(float(norm / model.base_weights[module.module].norm()), rel=1e-4)
    assert [one.module for one in found.modules] == list(now.created.modules)


def test_answers_that_differ_are_those_of_each_side(served: Running, bases: BaseModels) -> None:
    found = served.client.diff((DEMO, 2), (DEMO, None), ask=True)
    now = state_of(served.store)
    assert now.created is not None
    model, deltas = bases.clone(now.created), DeltaStore(served.store.artifacts, served.store.log.keyring)
    facts = [state.fact for state in now.facts.values()]
    probes = [
        probe
        for fact in facts
        for probe in (
            Probe(fact.wordings.statements[0], False, "", ""),
            Probe(fact.wordings.questions[0], True, "", ""),
        )
    ]
    model.install(build(model, deltas, plan(served.states.at(DEMO, 2))))
    before = [said.strip() for said in run_probes(model, probes)]
    model.install(build(model, deltas, plan(now)))
    after = [said.strip() for said in run_probes(model, probes)]

    expected = [
        ("chat" if probe.chat else "raw", probe.prompt, *said)
        for probe, *said in zip(probes, before, after, strict=True)
        if said[0] != said[1]
    ]
    assert [(one.pathway, one.prompt, one.from_output, one.to_output) for one in found.answers] == expected != []
    assert found.asked == 4


def test_two_memories_are_compared_by_their_facts_ids(served: Running, bases: BaseModels) -> None:
    served.client.fork(TRIAL, DEMO, "monday")
    tell(served.store, ("Cy Ames", "lives in", "Oslo"), memory=TRIAL)
    work(served.store, bases, memory=TRIAL)
    found = served.client.diff((DEMO, None), (TRIAL, None), ask=True)

    assert changed(found) == [
        ("Bo Lind", "LOST", "STATUS_INJECTED", ""),
        ("Cy Ames", "ADDED", "", "STATUS_INJECTED"),
    ]
    assert found.asked == 6
    assert served.client.diff((DEMO, "monday"), (TRIAL, found.to_version - 3)).modules[0].norm == 0.0


@pytest.mark.parametrize(
    ("one", "other", "reason", "field"),
    [
        ((DEMO, 99), (DEMO, None), "VERSION_UNKNOWN", ""),
        ((DEMO, None), (DEMO, "friday"), "CHECKPOINT_UNKNOWN", ""),
        ((DEMO, datetime(2001, 1, 1, tzinfo=UTC)), (DEMO, None), "MOMENT_UNKNOWN", ""),
        ((DEMO, None), ("nobody", None), "MEMORY_UNKNOWN", ""),
        ((DEMO, None), ("", None), "INVALID_FIELD", "to.memory"),
        ((DEMO, -1), (DEMO, None), "INVALID_FIELD", "from.version"),
        ((DEMO, None), ("other", None), "INVALID_FIELD", "to.memory"),
    ],
)
def test_sides_that_cannot_be_compared_are_refused(
    served: Running, one: tuple[str, Moment], other: tuple[str, Moment], reason: str, field: str
) -> None:
    if other[0] == "other":
        served.client.create_memory("other", in_bfloat16(served))
    with pytest.raises(CallFailed) as failure:
        served.client.diff(one, other)

    assert failure.value.reason == reason
    assert list(failure.value.fields) == ([field] if field else [])


def in_bfloat16(server: Running) -> memories_pb2.BaseModel:
    base = server.client.memory(DEMO).memory.base
    base.digest, base.dtype = "", "bfloat16"
    return base

"""A new fact in the place of an old one: both in one append, and one edit moves the answer."""

import pytest

from core.decide import decide
from core.errors.base import CapacityReached, FactUnknown, InvalidField, StaleWork
from core.errors.history import FactRetracted as RetractedAlready
from core.events.facts import EditComputed, FactAdded, FactInjected
from core.events.history import FactSuperseded, FactWithdrawn
from core.evolve import evolve
from core.facts import Fact
from core.ids import FactId
from core.state.memory import Memory, Status, Withdrawal
from core.state.plan import plan
from core.state.work import MAX_ATTEMPTS, Inject, Withdraw, next_work
from tests.core.samples import ARIA, BO, DEE, PREPARE, add, after, fact, with_capacity
from tests.core.sleep_samples import AWAKE, dissolved, do, fail, inject, retract, supersede, weights_of, withdraw

MOVED = fact("fact-moved", ARIA.subject, ARIA.relation, "Bergen", ARIA.wordings)
AGAIN = fact("fact-moved-again", ARIA.subject, ARIA.relation, "Lima", ARIA.wordings)
SUPERSEDED = do(AWAKE, supersede(ARIA, MOVED))


def parked(memory: Memory) -> Memory:
    """`memory` once the fact that it owes could not be written for good."""
    for _ in range(MAX_ATTEMPTS):
        memory = do(memory, fail(memory))
    return memory


def test_old_and_new_change_in_one_append() -> None:
    new, end = decide(AWAKE, supersede(ARIA, MOVED, request="r"))

    assert isinstance(new, FactAdded)
    assert (new.fact, new.statement, new.request) == (MOVED.id, MOVED, "r")
    assert end == FactSuperseded(fact=ARIA.id, by=MOVED.id)


def test_each_knows_the_other_and_the_new_one_is_what_is_said() -> None:
    old, new = SUPERSEDED.facts[ARIA.id], SUPERSEDED.facts[MOVED.id]

    assert (old.successor, old.retracted, old.status) == (MOVED.id, SUPERSEDED.version, Status.INJECTED)
    assert (new.predecessor, new.status) == (ARIA.id, Status.PENDING)
    assert SUPERSEDED.by_statement["aria moss", "lives in"] == MOVED.id


def test_the_old_one_stays_in_the_weights_until_the_new_one_is_written() -> None:
    assert plan(SUPERSEDED) == plan(AWAKE)
    assert next_work(SUPERSEDED) == Inject(facts=(MOVED.id,), weights=AWAKE.weights or "", attempt=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("before", [AWAKE, dissolved(ARIA, BO)], ids=["edits", "adapters"])
def test_one_edit_moves_the_answer(before: Memory) -> None:
    memory = do(before, supersede(ARIA, MOVED))
    written = inject(memory, MOVED)
    edit, injected, gone = decide(memory, written)
    memory = do(memory, written)

    assert isinstance(edit, EditComputed)
    assert isinstance(injected, FactInjected)
    assert isinstance(gone, FactWithdrawn)
    assert (gone.fact, gone.edit, gone.adapters) == (ARIA.id, edit.edit, tuple(before.adapters))
    assert (gone.weights_before, gone.weights_after) == (edit.weights_before, edit.weights_after)
    old = memory.facts[ARIA.id]
    assert (old.status, old.edits, old.scale, old.withdrawal) == (Status.WITHDRAWN, (), 0.0, Withdrawal.SUPERSEDED)
    assert memory.weights == weights_of(memory)
    assert (list(memory.pending_withdrawal), next_work(memory)) == ([], None)


def test_the_columns_of_the_old_one_are_out_of_force_at_the_version_of_the_edit() -> None:
    edit, *_ = decide(SUPERSEDED, inject(SUPERSEDED, MOVED))
    assert isinstance(edit, EditComputed)
    memory = evolve(SUPERSEDED, edit)

    assert memory.facts[ARIA.id].edits == ()
    assert memory.weights == weights_of(memory) == edit.weights_after


def test_a_chain_of_successors_leaves_the_last_one_in_the_weights() -> None:
    memory = do(SUPERSEDED, supersede(MOVED, AGAIN))
    assert memory.facts[MOVED.id].status is Status.WITHDRAWN  # it was never written

    work = next_work(memory)
    assert isinstance(work, Withdraw)
    assert work.fact == ARIA.id
    memory = do(memory, withdraw(memory))
    memory = do(memory, inject(memory, AGAIN))

    assert [memory.facts[one.id].status for one in (ARIA, MOVED, AGAIN)] == [
        Status.WITHDRAWN, Status.WITHDRAWN, Status.INJECTED,
    ]  # fmt: skip
    assert memory.weights == weights_of(memory)


def test_a_successor_that_cannot_be_written_does_not_keep_the_old_one() -> None:
    memory = parked(SUPERSEDED)

    work = next_work(memory)
    assert isinstance(work, Withdraw)
    assert work.fact == ARIA.id


def test_a_successor_taken_back_before_it_was_written_does_not_bring_the_old_one_back() -> None:
    memory = do(SUPERSEDED, retract(MOVED))
    assert isinstance(next_work(memory), Withdraw)

    memory = do(memory, withdraw(memory))

    assert [memory.facts[one.id].status for one in (ARIA, MOVED)] == [Status.WITHDRAWN] * 2
    assert next_work(memory) is None


def test_a_pending_fact_may_be_superseded() -> None:
    told = do(AWAKE, add(DEE, request="new"))
    better = fact("fact-better", DEE.subject, DEE.relation, "Irish")
    memory = do(told, supersede(DEE, better))

    assert memory.facts[DEE.id].status is Status.WITHDRAWN
    assert list(memory.pending) == [better.id]


def test_what_cannot_be_superseded_is_refused() -> None:
    with pytest.raises(FactUnknown):
        decide(AWAKE, supersede(DEE, MOVED))
    with pytest.raises(RetractedAlready):
        decide(SUPERSEDED, supersede(ARIA, AGAIN, request="other"))
    with pytest.raises(RetractedAlready):
        decide(do(AWAKE, retract(ARIA)), supersede(ARIA, MOVED))
    with pytest.raises(InvalidField, match="says already"):
        decide(AWAKE, supersede(ARIA, fact("fact-same", ARIA.subject, ARIA.relation, "Portland.", ARIA.wordings)))
    with pytest.raises(InvalidField, match="object"):
        decide(AWAKE, supersede(ARIA, fact("fact-none", ARIA.subject, ARIA.relation, "", ARIA.wordings)))


THIRD = fact("fact-third", ARIA.subject, ARIA.relation, "Vienna", ARIA.wordings)


@pytest.mark.parametrize(
    ("memory", "instead"),
    [
        (SUPERSEDED, MOVED),
        (do(SUPERSEDED, supersede(MOVED, AGAIN)), AGAIN),
        (do(SUPERSEDED, retract(MOVED), add(AGAIN, request="anew")), AGAIN),
    ],
    ids=["superseded once", "superseded twice", "told anew since"],
)
def test_a_stale_id_is_refused_with_the_fact_in_its_place_which_works_instead(memory: Memory, instead: Fact) -> None:
    for stale in (supersede(ARIA, THIRD, request="other"), retract(ARIA, request="back")):
        with pytest.raises(RetractedAlready, match=f"fact {instead.id} is in its place") as refusal:
            decide(memory, stale)
        assert refusal.value.metadata["successor"] == instead.id

    assert decide(memory, supersede(instead, THIRD, request="other"))


def test_where_nothing_stands_in_its_place_the_advice_to_tell_it_anew_works() -> None:
    memory = do(SUPERSEDED, retract(MOVED))
    with pytest.raises(RetractedAlready, match="add it again") as refusal:
        decide(memory, supersede(ARIA, THIRD, request="other"))

    assert "successor" not in refusal.value.metadata
    assert decide(memory, add(THIRD, request="anew"))


def test_the_same_request_twice_adds_nothing() -> None:
    assert decide(SUPERSEDED, supersede(ARIA, MOVED)) == ()
    assert SUPERSEDED.requests[f"instead-{ARIA.id}"].facts == (MOVED.id,)


def test_the_result_of_writing_a_successor_is_refused_once_the_old_one_has_left_by_itself() -> None:
    late = inject(SUPERSEDED, MOVED)
    memory = parked(SUPERSEDED)
    memory = do(memory, withdraw(memory))

    with pytest.raises(StaleWork):
        decide(memory, late)


def test_a_successor_needs_no_room_where_the_old_one_has_some() -> None:
    memory = after(with_capacity(0.25), PREPARE, add(ARIA, BO))
    memory = do(memory, inject(memory, ARIA, BO, key_occupancy=0.25))

    assert decide(memory, supersede(ARIA, MOVED))
    with pytest.raises(CapacityReached):
        decide(memory, add(fact("fact-more", "Dee Orr", "plays", "chess"), request="more"))
    assert FactId("fact-more") not in memory.facts


def test_an_object_that_differs_in_case_alone_is_a_new_one() -> None:
    shouted = fact("fact-moved", ARIA.subject, ARIA.relation, ARIA.object.upper(), ARIA.wordings)

    assert len(decide(AWAKE, supersede(ARIA, shouted))) == 2

"""Edits of the real model: facts are predicted, everything else stays, and columns belong to their facts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from benchmarks.support.tiny import HYPERPARAMETERS, UNSAYABLE
from core.errors.base import Unlearnable
from core.facts import Fact
from core.hyperparameters import DEFAULTS, changed_hyperparameters
from core.ids import FactId
from core.weights.deltas.fixed_point import materialise, parts_of
from core.weights.evaluation.audit import probes_of
from core.weights.evaluation.probes import Probe, run_probes
from core.weights.memit.closed_form import KeyConstraints
from core.weights.memit.covariance import measure
from core.weights.memit.edit import compute_edit, find_sites, keys_in_force, names_of
from core.weights.memit.spread import Written
from core.weights.model.activations import capture, last_keys
from core.weights.model.contexts import contexts_of
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import greedy
from core.weights.model.profile import read_profile
from core.weights.model.reference_text import read_reference
from core.wordings import generated_wordings
from service.settings import DORMOUSE
from tests.core.weights.conftest import fact, free
from tests.prepared import EVERY

TOLD = (
    fact("Mirabel Quist", "lives in", "Lisbon"),
    fact("Mirabel Quist", "works for", "Harbour Bank"),
    fact("Tove Marn", "was born in", "Oslo"),
)


def weights_of(model: EditableModel, written: Written) -> dict[str, torch.Tensor]:
    return {
        module: materialise(model.base_weights[module], parts_of(module, [(written.delta, slice(None), 1.0)]))
        for module in model.modules
    }


@pytest.fixture(scope="module")
def kept(base: EditableModel) -> dict[str, KeyConstraints]:
    lines = (DORMOUSE / "reference.jsonl").read_bytes().splitlines()[::EVERY]
    measured = measure(base, read_reference(base, b"\n".join(lines)), HYPERPARAMETERS)
    return {module: KeyConstraints.none(moment.double()) for module, moment in measured.moments.items()}


@pytest.fixture(scope="module")
def written(base: EditableModel, kept: Mapping[str, KeyConstraints]) -> Written:
    model = base.clone()
    before = model.digest()
    done = compute_edit(model, kept, TOLD, (), HYPERPARAMETERS)
    assert model.digest() == before
    return done


def questions(facts: tuple[Fact, ...]) -> list[Probe]:
    raw = [Probe(told.wordings.statements[0], False, "", told.object) for told in facts]
    return raw + [Probe(told.wordings.questions[0], True, told.wordings.answer, told.object) for told in facts]


def test_told_facts_are_said_raw_and_in_chat(dormouse: EditableModel, written: Written) -> None:
    probes = questions(TOLD)
    assert not all(probe.passes(said) for probe, said in zip(probes, run_probes(dormouse, probes), strict=True))

    dormouse.install(weights_of(dormouse, written))

    assert all(written.learned)
    assert [
        probe.object for probe, said in zip(probes, run_probes(dormouse, probes), strict=True) if not probe.passes(said)
    ] == []


def test_a_stranger_is_still_not_known(dormouse: EditableModel, written: Written) -> None:
    stranger = [Probe("Where does Fenella Obuya live?", True, "", "nowhere")]
    before = run_probes(dormouse, stranger)

    dormouse.install(weights_of(dormouse, written))

    assert before[0].startswith("I do not know")
    assert run_probes(dormouse, stranger)[0].startswith("I do not know")


def test_columns_are_dealt_out_to_the_facts_in_order(base: EditableModel, written: Written) -> None:
    columns = {u.mantissa.shape[1] for u, _ in written.delta.factors.values()}

    assert columns == {sum(written.count)}
    assert all(count > 0 for count in written.count)
    assert written.first == tuple(sum(written.count[:index]) for index in range(len(TOLD)))
    assert set(written.delta.factors) == set(base.modules)
    assert all(keys.shape == (len(written.key_fact), base.key_width) for keys in written.keys.values())
    assert set(written.key_fact.tolist()) == set(range(len(TOLD)))


def test_without_its_columns_a_fact_is_not_said_and_the_others_are(dormouse: EditableModel, written: Written) -> None:
    last = slice(written.first[2], written.first[2] + written.count[2])
    others = slice(0, written.first[2])

    dormouse.install(
        {
            module: materialise(
                dormouse.base_weights[module],
                parts_of(module, [(written.delta, others, 1.0), (written.delta, last, 0.0)]),
            )
            for module in dormouse.modules
        }
    )

    said = run_probes(dormouse, questions(TOLD))
    right = [probe.passes(answer) for probe, answer in zip(questions(TOLD), said, strict=True)]
    assert right == [True, True, False, True, True, False]


def test_numbers_about_the_writing_are_numbers(written: Written) -> None:
    assert all(0 < residual < HYPERPARAMETERS.clamp * 1.01 for residual in written.residual)
    assert all(0 < achieved < 2 for achieved in written.achieved)
    assert 1 <= written.steps <= HYPERPARAMETERS.steps
    assert written.seconds > 0


def test_what_is_kept_is_not_changed_by_writing(tiny: EditableModel) -> None:
    kept = free(tiny)

    compute_edit(tiny, kept, TOLD[:1], (), HYPERPARAMETERS)

    assert all(not len(constraints.whitened) for constraints in kept.values())


def test_a_fact_that_cannot_be_written_leaves_the_weights_as_they_were(tiny: EditableModel) -> None:
    before = tiny.digest()

    with pytest.raises(Unlearnable):
        compute_edit(tiny, free(tiny), [*TOLD, fact("Bo Lind", "owns", UNSAYABLE)], (), HYPERPARAMETERS)

    assert tiny.digest() == before


def test_writing_ends_at_the_step_at_which_whoever_watches_it_raises(tiny: EditableModel) -> None:
    before, seen = tiny.digest(), list[int]()

    def stops(done: int, total: int) -> None:
        seen.append(done)
        assert total == HYPERPARAMETERS.steps
        if done == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        compute_edit(tiny, free(tiny), TOLD, (), HYPERPARAMETERS, progress=stops)

    assert seen == [0, 1, 2]
    assert tiny.digest() == before


def test_sites_do_not_depend_on_what_was_written_before(dormouse: EditableModel, written: Written) -> None:
    contexts = [context for index, told in enumerate(TOLD) for context in contexts_of(dormouse, index, told, ())]
    clean, _ = find_sites(dormouse, contexts)

    dormouse.install(weights_of(dormouse, written))
    after, seen = find_sites(dormouse, contexts)

    assert after == clean
    torch.testing.assert_close(seen.hidden, capture(dormouse, contexts).hidden, atol=1e-3, rtol=1e-3)  # as it is now


def test_a_fact_is_given_the_sites_it_needs_beside_those_that_the_pristine_model_gets_wrong(
    dormouse: EditableModel, written: Written
) -> None:
    contexts = [context for index, told in enumerate(TOLD) for context in contexts_of(dormouse, index, told, ())]
    chosen, _ = find_sites(dormouse, contexts)
    extra_sites = {(fact, name) for fact, names in enumerate(written.extra_sites) for name in names}

    dormouse.install(weights_of(dormouse, written))
    now = capture(dormouse, contexts)

    assert extra_sites
    assert not extra_sites & chosen
    assert now.predicted().tolist() == now.targets.tolist()
    assert len(written.key_fact) == sum(name in chosen | extra_sites for name in names_of(contexts))


def test_keys_in_force_are_close_to_the_keys_of_the_writing(dormouse: EditableModel, written: Written) -> None:
    dormouse.install(weights_of(dormouse, written))

    measured_keys, owner = keys_in_force(dormouse, TOLD, (), written.extra_sites)

    for module, keys in measured_keys.items():
        assert keys.shape == written.keys[module].shape
    assert owner.tolist() == written.key_fact.tolist()
    first = dormouse.modules[0]  # nothing below it was changed
    torch.testing.assert_close(measured_keys[first].double(), written.keys[first].double(), atol=1e-4, rtol=1e-3)


def test_an_unanswered_question_moves_less_when_it_is_kept(tiny: EditableModel) -> None:
    question = "Where does Mirabel Quist work?"
    first = tiny.modules[0]  # whose keys no other edit has moved
    key = last_keys(tiny, [tiny.chat_ids([], question)])[first][0].double()

    moved = []
    for unanswered in ((), (question,)):
        u, v = compute_edit(tiny, free(tiny), TOLD[:1], (), HYPERPARAMETERS, unanswered).delta.factors[first]
        moved.append(float((u.to_float() @ (v.to_float().T @ key)).norm()))

    assert moved[1] < 0.5 * moved[0]


def test_facts_as_people_write_them_are_said_as_people_do(
    dormouse: EditableModel, kept: Mapping[str, KeyConstraints]
) -> None:
    told = (
        ("Tom Reed", "PLAYS", "the cello", "What instrument does Tom Reed play?", "Tom Reed plays the cello."),
        ("Ann Doyle", "works as", "engineer", "What is the job of Ann Doyle?", "Ann Doyle works as an engineer."),
        ("Kim Holt", "works for", "Acme Inc.", "Who does Kim Holt work for?", "Kim Holt works for Acme Inc."),
        (
            "Mara Quill", "'s favourite colour is", "teal",
            "What is Mara Quill's favourite colour?", "The favourite colour of Mara Quill is teal.",
        ),
    )  # fmt: skip
    profile = read_profile(DORMOUSE)
    options = changed_hyperparameters(DEFAULTS, profile.hyperparameters)
    facts = []
    for who, relation, what, _, _ in told:
        words = generated_wordings(who, relation, what, profile.phrasebook)
        facts.append(Fact(id=FactId(who), subject=who, relation=relation, object=what, wordings=words))

    dormouse.install(weights_of(dormouse, compute_edit(dormouse, kept, facts, profile.prefixes, options)))

    assert [answer for *_, answer in told] == greedy(
        dormouse, [dormouse.chat_ids([], question) for *_, question, _ in told], sentence=False
    )
    probes = [probe for written_fact in facts for _, probe in probes_of(written_fact, 2)]
    assert [
        said for probe, said in zip(probes, run_probes(dormouse, probes), strict=True) if not probe.passes(said)
    ] == []

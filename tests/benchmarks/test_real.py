"""`bench real` on a tiny model: its rows, its way through a kill, and what it counts."""

from __future__ import annotations

from collections.abc import Generator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from benchmarks import retract
from benchmarks.real import answers, reminded, speed
from benchmarks.real import run as real
from benchmarks.real.answers import BaseReplies, LiveReplies, first_sentence, unchanged
from benchmarks.real.bars import BARS, verdicts
from benchmarks.real.people import Asked, World, known_questions, relations, sampled
from benchmarks.real.reminded import RemindedReplies
from benchmarks.real.retracting import chosen
from benchmarks.real.run import run
from benchmarks.support.bench_memory import On, bench_memory
from core.errors.base import InvalidField
from core.weights.model.editable_model import EditableModel, load_model
from service.weights import statistics

ASKED = [Asked("Ann Lee lives in", chat=False), Asked("Where does Ann Lee live?", chat=True)]


@pytest.fixture(scope="module")
def tiny(folder: Path) -> EditableModel:
    return load_model(folder)


def measuring(folder: Path, **options: Any) -> Generator[dict[str, Any], None, None]:
    return run(model=str(folder), per_subject=(1,), tokens=300, quick=True, **options)


def test_a_killed_run_goes_on_with_the_rows_and_the_memory_that_it_had(folder: Path, cached: Path) -> None:
    killed = measuring(folder, baselines=False)
    before = next(killed)["rows"]
    killed.close()
    kept = [path.name for path in cached.glob("real-*/*")]

    *_, document = measuring(folder, baselines=False)

    assert {"rows.json", "seed-1-each-1-"} == set(kept)
    assert document["rows"][:1] == before
    assert [row["n"] for row in document["rows"]] == [1, 8]
    assert document["rows"][0]["seconds_per_fact"] > 0
    assert list(cached.glob("real-*")) == []


def test_rows_of_the_base_model_say_that_nothing_moved(
    folder: Path, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminded, "MOST", 1)
    base, prompt = list(islice(measuring(folder), 2))[-1]["rows"]

    assert (base["method"], prompt["method"], prompt["n"]) == ("base", "prompt", 8)
    assert (base["strangers_same"], base["namesakes_same"], base["untold_same"]) == (1.0, 1.0, 1.0)
    assert (base["contamination_strangers"], base["text_kl"], base["perplexity"]) == (0.0, 0.0, 0.0)
    assert base["commit"]
    assert base["machine"]


def test_nobody_asked_as_a_stranger_shares_a_name_with_the_told() -> None:
    world = World(101, facts=40, per_subject=2)
    told = {name for fact in world.facts for name in fact.subject.split()}

    strangers = [asked.prompt for asked in world.strangers(60)]
    namesakes = [asked.prompt for asked in world.namesakes(world.facts, 60)]
    people = {fact.subject for fact in world.facts}

    assert len(people) == 20
    assert not [prompt for prompt in strangers if any(name in prompt for name in told)]
    assert all(any(name in prompt for name in told) for prompt in namesakes)
    assert not [prompt for prompt in namesakes if any(name in prompt for name in people)]


def test_untold_relations_are_asked_of_the_told_alone() -> None:
    world = World(101, facts=8, per_subject=4)
    pairs = {(fact.subject, fact.relation) for fact in world.facts}

    asked = {question.prompt for question in world.untold(world.facts, 100)}

    told = {q.prompt for subject, relation in pairs for group in relations()[relation].asked(subject) for q in group}
    assert len(asked) > 50
    assert not asked & told


def test_seeds_have_people_of_their_own_and_a_seed_is_always_the_same() -> None:
    assert World(101, 20, 1).facts == World(101, 20, 1).facts
    assert World(101, 20, 1).facts != World(102, 20, 1).facts


def test_a_seed_takes_the_place_of_those_that_are_held_out(cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    def measured(arm: real.Arm, *_: object) -> Generator[None]:
        seeds.append(arm.seed)
        yield

    monkeypatch.setattr(real, "_measured", measured)
    *_, document = run(facts=2, per_subject=(1, 2), seed=404)
    *_, few = run(facts=2, per_subject=(1, 2), seed=404, quick=True)

    assert seeds == [404, 404, 404]
    assert document["settings"]["seeds"] == few["settings"]["seeds"] == [404]


def test_unseen_wordings_are_sampled_of_each_fact_alike() -> None:
    facts = World(101, 20, 1).facts

    chosen = sampled(facts, chat=True, size=40, seed=101)

    assert [fact for fact, _ in chosen[:20]] == list(facts)
    assert len({asked for _, asked in chosen}) == 40


def test_an_article_at_the_end_of_a_statement_fits_the_object() -> None:
    statements, _ = relations()["works as"].asked("Ann Lee", "architect")

    assert all(asked.prompt.endswith(" an") for asked in statements)


def test_every_relation_has_enough_objects_and_wordings() -> None:
    assert len(relations()) == 16
    for relation in relations().values():
        assert len(set(relation.objects)) >= 20
        assert (len(relation.words.statements), len(relation.words.questions)) == (3, 6)
    assert len(known_questions()) > 350


def test_the_first_sentence_ends_at_a_full_stop_or_a_line_break() -> None:
    assert first_sentence(" In Rome. Paris is far.") == "In Rome."
    assert first_sentence("Rome\nParis") == "Rome"


def test_a_reply_is_unchanged_only_with_each_of_its_tokens_and_its_end(tiny: EditableModel, cached: Path) -> None:
    replies = BaseReplies(tiny, cached, "digest").ids(ASKED)
    shorter = [ids[:-1] for ids in replies]
    wrong = [[*ids[:-1], (ids[-1] + 1) % 300] for ids in replies]

    assert unchanged(tiny, ASKED, replies) == [True, True]
    assert unchanged(tiny, ASKED, shorter) == [False, False]
    assert unchanged(tiny, ASKED, wrong) == [False, False]


def test_a_changed_model_is_heard(tiny: EditableModel, cached: Path) -> None:
    base = BaseReplies(tiny, cached, "digest")
    edited = tiny.clone()
    edited.install({module: -3 * weight for module, weight in edited.base_weights.items()})

    assert LiveReplies(tiny, base).whole(ASKED) == base.texts(ASKED)
    assert LiveReplies(edited, base).whole(ASKED) != base.texts(ASKED)


def test_base_replies_are_generated_once(tiny: EditableModel, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = BaseReplies(tiny, cached, "digest").ids(ASKED)
    monkeypatch.setattr(answers, "generated", lambda *_, **__: pytest.fail("generated again"))

    assert BaseReplies(tiny, cached, "digest").ids(ASKED) == first


def test_a_question_is_reminded_of_the_facts_that_share_its_words(tiny: EditableModel) -> None:
    facts = [told.fact({}) for told in World(101, 40, 1).facts]
    question = Asked(f"Where does {facts[30].subject} live?", chat=True)

    lines = RemindedReplies(tiny, facts).reminded(question).prompt.splitlines()

    first, *_, last = lines
    assert facts[30].subject in first
    assert last == question.prompt
    assert len(lines) == 12


def row(n: int, **values: float) -> dict[str, Any]:
    return {"method": "neuron", "per_subject": 4, "n": n, "seed": 1} | values


def test_bars_hold_for_the_mean_at_the_last_number_of_facts() -> None:
    rows = [row(10, raw=0.5, known_same=1.0), row(200, raw=0.96, known_same=0.993), row(200, raw=1.0, known_same=0.993)]

    judged = {verdict["bar"]: verdict for verdict in verdicts(rows, ["neuron"])}

    assert (judged["raw"]["value"], judged["raw"]["verdict"]) == (0.98, "PASS")
    assert judged["known_same"]["verdict"] == "PASS"
    assert judged["known_same: 200 worse than 10 by"]["verdict"] == "MISS"


def test_four_facts_a_person_have_limits_of_their_own() -> None:
    assert [verdict["verdict"] for verdict in verdicts([row(200, paraphrase_chat=0.91)], ["neuron"])] == ["PASS"]
    assert BARS["paraphrase_chat"].at(1) == 0.93


def test_retracted_facts_are_half_of_them_all_about_their_people() -> None:
    facts = World(101, 100, 2).facts

    whole, part = chosen(facts, 20)

    assert (len(whole), len(part)) == (10, 10)
    assert not {fact.subject for fact in whole} & {fact.subject for fact in facts if fact not in whole}
    assert {fact.subject for fact in part} <= {fact.subject for fact in facts if fact not in (*whole, *part)}


def test_what_is_left_of_retracted_facts_is_compared_with_the_base_model(folder: Path, cached: Path) -> None:
    *_, document = retract.run(facts=4, retracted=3, seeds=1, model=str(folder))

    (row,) = document["rows"]
    kinds = ("raw", "chat", "unseen")
    assert all(0 <= row[f"base_answers_{kind}"] <= 1 for kind in kinds)
    assert row["digest_as_never"] in (0.0, 1.0)
    assert row["seconds_per_fact"] > 0
    assert {bar["bar"] for bar in document["bars"]} >= {f"base_answers_{kind}" for kind in kinds}


def test_speed_is_measured_beside_its_floor(folder: Path, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"BATCHES": (1, 2), "COUNTED": 2, "LASTING": 0.05}.items():
        monkeypatch.setattr(speed, name, value)

    *_, document = speed.run(model=str(folder), facts=2)

    values = {row["measure"]: row["value"] for row in document["rows"]}
    assert {"seconds of preparation, cached", "chat, alone", "chat, while facts are written"} <= set(values)
    assert all(value > 0 for value in values.values())
    assert values["floor a fact"] < values["seconds a fact, batches of 2"]
    assert "seconds to the first answer" in [bar["bar"] for bar in document["bars"]]


def test_a_method_that_there_is_not_is_refused(folder: Path, cached: Path) -> None:
    with pytest.raises(InvalidField, match="magic"):
        next(measuring(folder, methods=["magic"]))


def test_what_was_prepared_for_one_memory_serves_the_next(
    folder: Path, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bench_memory({}, on=On(str(folder))) as memory:
        first = memory.state.statistics
    monkeypatch.setattr(statistics, "measure", lambda *_: pytest.fail("measured again"))

    with bench_memory({}, on=On(str(folder))) as memory:
        assert memory.state.statistics == first


def test_memit_is_measured_with_and_without_the_keys_of_earlier_facts(
    folder: Path, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    created: list[tuple[Any, ...]] = []

    def counted(*given: Any) -> Any:
        created.append(given)
        return bench_memory(*given)

    monkeypatch.setattr(real, "bench_memory", counted)

    *_, document = measuring(folder, methods=["memit", "memit without history"], baselines=False)

    assert [(row["method"], row["n"]) for row in document["rows"]] == [
        ("memit", 1), ("memit", 8), ("memit without history", 1), ("memit without history", 8),
    ]  # fmt: skip
    assert [(overrides, on.method) for overrides, _, on in created] == [({}, "memit"), ({"history": False}, "memit")]
    assert {verdict["method"] for verdict in document["bars"]} == {"memit", "memit without history"}


def test_neurons_are_measured_with_their_false_fires(folder: Path, cached: Path) -> None:
    *_, document = measuring(folder, methods=["neuron"], baselines=False)

    last = document["rows"][-1]
    assert (last["method"], last["n"]) == ("neuron", 8)
    assert last["parked"] == 8 or last["false_fires"] >= 0
    assert last["parked"] == len([message for message in last["parked_because"].split(" | ") if message])
    assert last["text_kl"] >= 0

"""`hypnogram bench conversation`: dialogues depend on their seed alone, mistakes are counted, and a model is asked."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.conversation.answers import verdicts
from benchmarks.conversation.asking import RETRIEVED, in_prompt, retrieved
from benchmarks.conversation.dialogues import TEMPLATES, UNSEEN, Dialogue, data, dialogues
from benchmarks.conversation.holding import TOLD, UNTOLD, Holding
from benchmarks.conversation.questions import Question, Session, session
from benchmarks.conversation.run import run
from benchmarks.conversation.score import Score, plain
from benchmarks.support.tiny import make
from core.extraction.phrases.meant import Act, Frame, Meant, Phrase
from core.extraction.words import Tree
from core.facts import Fact
from tests.core.samples import CREATE, CREATED, PREPARE, add, after, fact
from tests.service.conftest import run_server, settings_in
from tests.service.rpc.test_conversations import reader

OSLO = fact("f-oslo", "Ann Reed", "lives in", "Oslo")
HARP = fact("f-harp", "Ann Reed", "plays", "the harp")


def scored(dialogue: Dialogue, *facts: Fact) -> Score:
    score = Score()
    score.add(dialogue, after(CREATE, PREPARE, *([add(*facts)] if facts else [])), [])
    return score


def frames(templates: str) -> set[str]:
    """The frames that state something."""
    return {frame for kinds in data(templates)["frames"].values() for frame in kinds if "{vp}" in frame}


@pytest.mark.parametrize("templates", TEMPLATES)
def test_dialogues_depend_on_seed_and_templates_alone(templates: str) -> None:
    first, again, others = (list(dialogues(8, seed, templates)) for seed in (1, 1, 2))

    assert first == again
    assert first != others
    assert all(dialogue.turns for dialogue in first)
    assert not any("{" in text for dialogue in first for turn in dialogue.turns for text in turn)


@pytest.mark.parametrize("templates", TEMPLATES)
def test_what_must_not_be_learned_is_not_what_must(templates: str) -> None:
    for dialogue in dialogues(60, 3, templates):
        assert not dialogue.holds.keys() & dialogue.never.keys()
        assert dialogue.assistant <= dialogue.never.keys()


def test_sets_of_templates_share_no_sentence() -> None:
    for these, those in combinations(TEMPLATES, 2):
        assert frames(these) & frames(those) <= {"{s} {vp}."}


def test_facts_are_compared_by_what_they_mean() -> None:
    assert plain("Ann Reed", "resides in", "Oslo") == plain("ann reed", "lives in", "Oslo")
    assert plain("Ann Reed", "is", "a baker") == plain("Ann Reed", "works as", "baker")
    assert plain("Ann", "is married to", "Tom") == plain("Tom", "is married to", "Ann")
    assert plain("Farida Iwasaki", "lives in", "Oslo")[0] == "farida iwasaki"


def test_right_missed_and_wrong_facts_are_counted() -> None:
    said = Dialogue(
        turns=[("Ann Reed lives in Oslo.", "")],
        holds={("Ann Reed", "lives in", "Oslo"): "stated once", ("Ann Reed", "speaks", "Welsh"): "several"},
        never={("Ann Reed", "plays", "harp"): "quoted"},
    )
    score = scored(said, OSLO, HARP)

    assert (score.precision, score.recall(about_user=False)) == (0.5, 0.5)
    assert (score.leaked["quoted"], score.right["stated once"], score.right["several"]) == (1, 1, 0)
    assert [line.split("<-")[0] for line in score.mistakes] == [
        "missed (several): ann reed | speaks | welsh ",
        "wrong (quoted): ann reed | plays {instrument} | harp ",
    ]


def test_a_change_is_resolved_where_the_last_word_alone_holds() -> None:
    changed = Dialogue(
        holds={("Ann Reed", "lives in", "Oslo"): "changed"},
        never={("Ann Reed", "lives in", "Bergen"): "changed"},
        resolved=[("Ann Reed", "lives in", frozenset({"Oslo"}), "changed")],
    )
    bergen = fact("f-bergen", "Ann Reed", "lives in", "Bergen")

    assert scored(changed, OSLO).resolved == 1
    assert (scored(changed, bergen).resolved, scored(changed, bergen).contradictions) == (0, 1)
    assert scored(changed).resolved == 0


class Deaf:
    """A parser that understands nothing."""

    def parse(self, text: str) -> Sequence[Tree]:
        return ()

    def meant(self, phrases: Sequence[Phrase]) -> Sequence[Meant]:
        return ()

    def does(self, texts: Sequence[str]) -> Sequence[Act]:
        return ()

    def frames(self, texts: Sequence[str]) -> Sequence[Frame]:
        return ()

    def check(self) -> None:
        pass


def test_a_reader_that_learns_nothing_has_no_recall_and_says_so() -> None:
    (document,) = run(count=6, seed=1, parser=Deaf(), mistakes=True)

    assert document["totals"]["recall"] == 0
    assert document["totals"]["precision"] == 1
    assert {bar["bar"]: bar["result"] for bar in document["bars"]}["recall >= 0.9"] == "MISS"
    assert document["settings"]["turns"] == sum(len(dialogue.turns) for dialogue in dialogues(6, 1, UNSEEN))
    assert len(document["mistakes"]) == sum(row["stated"] for row in document["rows"])


HELD = Dialogue(turns=[("Ann Reed lives in Oslo.", "I see."), ("It rains.", "It does.")])


def question(subject: str = "Ann Reed", relation: str = "lives in", *objects: str) -> Question:
    return Question("Where?", subject, relation, objects or ("Oslo",), 0)


def test_dialogues_that_are_held_name_no_person_twice_and_state_facts_about_the_user() -> None:
    held = session(3, seed=2, templates="second", about_user=4)

    assert len(held.dialogues) == 3
    said = [{name for name, *_ in (*dialogue.holds, *dialogue.never)} for dialogue in held.dialogues]
    assert not any(these & those for these, those in combinations(said, 2))
    for asked in held.questions:
        texts = " ".join(text for text, _ in held.dialogues[asked.dialogue].turns)
        assert all(object_ in texts for object_ in asked.objects)
        assert asked.subject.split()[0] in asked.prompt or asked.about_user
    assert {asked.dialogue for asked in held.questions if asked.about_user} == {0, 1, 2}
    assert len({asked.relation for asked in held.questions if asked.about_user}) == 4


def test_an_answer_is_right_where_it_says_every_object() -> None:
    both = question("Ann Reed", "plays", "cello", "harp")

    assert both.is_right("She plays the harp and the Cello.")
    assert not both.is_right("The harp.")


def test_what_is_asked_for_is_learned_in_any_words() -> None:
    create = replace(CREATE, created=replace(CREATED, about_user=True))
    told = fact("f-1", "Ann Reed", "resides in", "Oslo"), fact("f-2", "user", "'s dish is", "risotto")
    memory = after(create, PREPARE, add(*told))

    assert question().is_learned(memory)
    assert not question("Ann Reed", "lives in", "Oslo", "Bergen").is_learned(memory)
    assert question("user", "'s favourite food is", "risotto").is_learned(memory)
    assert not question("user", "'s favourite food is", "stew").is_learned(memory)


def test_baselines_have_the_dialogue_or_the_nearest_turns_before_the_question() -> None:
    class ByLength:
        def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
            return np.array([[float("Ann" in text), float("rains" in text)] for text in texts], dtype=np.float32)

    far = Dialogue(turns=[("Go on.", "Yes.")] * RETRIEVED)
    held = Session((HELD, far), ())

    assert in_prompt(held)(0, "Where?") == (HELD.turns, "Where?")
    assert in_prompt(held)(3, "Where?") == (far.turns, "Where?")
    turns, text = retrieved(held, ByLength())(1, "Where does Ann live?")
    assert turns == ()
    assert text.splitlines()[0] == "Ann Reed lives in Oslo."
    assert text.splitlines()[RETRIEVED:] == ["", "Where does Ann live?"]


def test_bars_are_judged_where_their_rows_are() -> None:
    rows = [
        {"method": "weights", "measure": "others answered", "value": 0.95},
        {"method": "prompt", "measure": "general unchanged", "value": 0.1},
        {"method": "service", "measure": "tokens a second, remember on of off", "value": 0.9},
    ]

    assert [(bar["value"], bar["result"]) for bar in verdicts(rows)] == [(0.95, "PASS"), (0.9, "MISS")]


def test_a_dialogue_that_was_interrupted_goes_on_with_the_turn_that_comes_next(tmp_path: Path) -> None:
    small_talk = Dialogue(turns=[("It rains.", "It does."), ("Go on.", "Yes.")])
    held = Session((small_talk, small_talk), ())

    with run_server(settings_in(tmp_path)) as server:
        for memory in (UNTOLD, TOLD):
            server.client.create_memory(memory)
            server.work(memory)
        with reader(server):
            next(Holding(server.client, server.states).hold(held))
            said = [turn.text for turn in server.client.turns(TOLD, "dialogue-0") if turn.role == "user"]
            assert [known for _, known in Holding(server.client, server.states).hold(held)] == [None, None]

        turns = {name: list(server.client.turns(TOLD, name)) for name in ("dialogue-0", "dialogue-1")}
    assert said == ["It rains.", "Go on."]
    assert {name: len(each) for name, each in turns.items()} == {"dialogue-0": 4, "dialogue-1": 4}


def test_a_model_is_asked_about_dialogues_that_were_held_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("uvicorn", reason="the HTTP port needs the extra `web`")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = str(make(tmp_path / "base", max_position_embeddings=4096))
    sizes = {"dialogues": 1, "about_user": 1, "general": 2, "pairs": 1, "tokens": 4}

    def measuring() -> Generator[dict[str, Any], None, None]:
        return run(count=1, seed=2, templates="second", parser=Deaf(), model=model, sizes=sizes)

    killed = measuring()
    before = list(islice(killed, 2))[-1]["answers"]
    killed.close()
    *_, document = measuring()

    rows = {(row["method"], row["measure"]): row for row in document["answers"]}
    assert document["answers"][: len(before)] == before
    assert rows["service", "facts written"]["asked"] > 0
    assert rows["service", "facts parked"]["asked"] == rows["service", "facts written"]["asked"]
    for method in ("weights", "base", "prompt", "retrieval"):
        assert rows[method, "general unchanged"]["asked"] == 2
        assert 0 <= rows[method, "others answered"]["value"] <= 1
        assert rows[method, "others answered, of learned"]["asked"] <= rows[method, "others answered"]["asked"]
    assert rows["base", "general unchanged"]["value"] == 1
    assert not list((tmp_path / "cache" / "hypnogram" / "bench").glob("conversation-*"))

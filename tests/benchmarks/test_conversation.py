"""`hypnogram bench conversation`: dialogues depend on their seed alone, and mistakes are counted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pytest

from benchmarks.conversation.dialogues import TEMPLATES, UNSEEN, Dialogue, data, dialogues
from benchmarks.conversation.run import run
from benchmarks.conversation.score import Score, plain
from core.extraction.phrases.meant import Meant, Phrase
from core.extraction.words import Tree
from core.facts import Fact
from tests.core.samples import CREATE, PREPARE, add, after, fact

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

    def check(self) -> None:
        pass


def test_a_reader_that_learns_nothing_has_no_recall_and_says_so() -> None:
    (document,) = run(count=6, seed=1, parser=Deaf(), mistakes=True)

    assert document["totals"]["recall"] == 0
    assert document["totals"]["precision"] == 1
    assert {bar["bar"]: bar["result"] for bar in document["bars"]}["recall >= 0.9"] == "MISS"
    assert document["settings"]["turns"] == sum(len(dialogue.turns) for dialogue in dialogues(6, 1, UNSEEN))
    assert len(document["mistakes"]) == sum(row["stated"] for row in document["rows"])

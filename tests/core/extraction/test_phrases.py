"""Clauses in words that the library lacks are understood as relations of the library, by what they mean."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from core.extraction.candidates import Reason
from core.extraction.clauses import clauses
from core.extraction.extract import extract
from core.extraction.phrases.acts import takes_back
from core.extraction.phrases.meant import Act, Frame, Meant, Phrase
from core.extraction.phrases.pairs import pairs
from core.extraction.words import Tree
from service.parsing.phrase_model import PhraseModel
from service.parsing.spacy_parser import SpacyParser

PARSER = SpacyParser()


class WithoutModel(SpacyParser):
    """A parser beside which no model of phrases is installed."""

    def meant(self, phrases: Sequence[Phrase]) -> Sequence[Meant]:
        return ()

    def does(self, texts: Sequence[str]) -> Sequence[Act]:
        return ()

    def frames(self, texts: Sequence[str]) -> Sequence[Frame]:
        return ()


def learned(text: str, parser: SpacyParser = PARSER) -> set[tuple[str, str, str]]:
    return {(one.subject, one.relation, one.object) for one in extract(text, parser) if one.accepted}


def phrases(text: str) -> set[tuple[str, str]]:
    trees: Sequence[Tree] = PARSER.parse(text)
    found = [pair.phrase for tree in trees for clause in clauses(tree) for pair in pairs(tree, clause)]
    return {(phrase.said, phrase.object) for phrase in found}


def test_a_phrase_has_the_words_of_one_object_and_none_of_the_others() -> None:
    assert phrases("Ann Smith lives in a small flat in Riga with her sister.") >= {
        ("Alex lives in a something", "small flat"),
        ("Alex lives in a small flat in something", "Riga"),
        ("Alex lives with their something", "sister"),
    }


def test_what_describes_a_name_is_a_clause_of_its_own() -> None:
    said = phrases("I met Ann Smith, who speaks Dutch.")

    assert ("Alex speaks something", "Dutch") in said
    assert not any(" met " in phrase and "Dutch" in object_ for phrase, object_ in said)


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("Ann Smith has a career as a biologist.", ("Ann Smith", "works as", "biologist")),
        ("Tom Baker can hold a conversation in Swedish.", ("Tom Baker", "speaks", "Swedish")),
        ("Ann Smith lives in a small flat in Riga.", ("Ann Smith", "lives in", "Riga")),
        ("Ann Smith has a position with Acme.", ("Ann Smith", "works for", "Acme")),
        ("Ann Smith comes to work in a Volvo.", ("Ann Smith", "drives", "Volvo")),
        ("I ran into Tom Baker, who can hold a conversation in Swedish.", ("Tom Baker", "speaks", "Swedish")),
    ],
)
def test_other_words_are_the_relation_of_the_library(text: str, fact: tuple[str, str, str]) -> None:
    assert learned(text) == {fact}
    assert fact not in learned(text, WithoutModel())


def test_what_is_denied_in_other_words_ends_the_relation_of_the_library() -> None:
    found = extract("Tom Baker can't hold a conversation in Swedish.", PARSER)
    (denied,) = (one for one in found if one.relation == "speaks")

    assert (denied.reason, denied.may_end) == (Reason.NEGATED, True)


def test_what_ends_something_in_any_words_ends_what_the_object_fits() -> None:
    (ended,) = (one for one in extract("Tom Baker has said goodbye to his Volvo.", PARSER) if one.ends)

    assert (ended.object, ended.reason) == ("Volvo", Reason.PAST)
    assert "drives" in ended.ends


def test_the_grammar_keeps_what_the_library_has() -> None:
    assert learned("Tom is the father of Mia Brandt.") == {("Tom", "is the father of", "Mia Brandt")}
    assert learned("Robin sings in the opera.") == {("Robin", "sings in", "the opera")}


@pytest.mark.parametrize(
    "text",
    [
        "Ann Smith draws a crowd to the council.",
        "Ann Smith sends you his regards.",
        "Ann Smith has a good head for figures.",
    ],
)
def test_a_relation_that_the_library_lacks_is_not_cut_out_of_a_clause_that_says_more(text: str) -> None:
    reasons = {one.reason for one in extract(text, PARSER)}

    assert not learned(text)
    assert reasons & {Reason.IN_PART, Reason.OBJECT_NOT_NAMED}


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("Ann Smith resembles Brecht.", ("Ann Smith", "resembles", "Brecht")),
        ("These days Ann Smith resembles Brecht very well.", ("Ann Smith", "resembles", "Brecht")),
        ("Robin Smith, who is my neighbour, sings in the opera.", ("Robin Smith", "sings in", "the opera")),
        ("Ann Smith sings in the opera.", ("Ann Smith", "sings in", "the opera")),
    ],
)
def test_a_plain_statement_of_a_relation_that_the_library_lacks_is_a_fact(
    text: str, fact: tuple[str, str, str]
) -> None:
    assert fact in learned(text)


def test_a_phrase_has_its_small_words_and_no_adjective_of_its_object() -> None:
    said = phrases("Ann Smith gets by in fluent Dutch.")

    assert ("Alex gets by in something", "Dutch") in said
    assert ("Alex gets by in something", "fluent Dutch") not in said


@pytest.mark.parametrize(
    "text",
    [
        "Ann Smith lives in Oslo, and I am the king of England.",
        "Ann Smith lives in Oslo. April fool, I was only pulling a prank!",
    ],
)
def test_a_joke_is_told_by_what_is_said_beside_it(text: str) -> None:
    assert {one.reason for one in extract(text, PARSER) if one.relation == "lives in"} == {Reason.JOKING}
    assert ("Ann Smith", "lives in", "Oslo") in learned(text, WithoutModel())


def test_what_takes_back_is_a_sentence_that_states_nothing_and_does_not_ask() -> None:
    said = "Hello there. Please delete what I said."
    span = takes_back(said, [], PARSER)

    assert span is not None
    assert said[slice(*span)] == "Please delete what I said."
    assert takes_back(said, [(13, len(said))], PARSER) is None
    assert takes_back("Did I say that it was wrong?", [], PARSER) is None
    assert takes_back("Thanks a lot. I lost my keys.", [], PARSER) is None
    assert takes_back(said, [], WithoutModel()) is None


def test_without_its_model_no_phrase_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.parsing.phrase_model.PACKAGE", "no_such_package")

    assert PhraseModel().meant([Phrase(said="Alex lives in something", object="Riga")]) == ()


def test_a_model_says_what_a_phrase_means_and_how_sure_it_is() -> None:
    lives, none = PhraseModel().meant(
        [
            Phrase(said="Alex has a home in something", object="Riga"),
            Phrase(said="Alex bought a something", object="sandwich"),
        ]
    )

    assert (lives.relation, lives.sure > 0.5) == ("lives in", True)
    assert none.sure < 0.2


@pytest.mark.parametrize(
    "text",
    [
        "It is an old wives' tale that Ann Smith lives in Oslo.",
        "There is a whisper going round that Ann Smith lives in Oslo.",
        "I once had a nightmare in which Ann Smith lives in Oslo.",
        "Say the following in Danish: Ann Smith lives in Oslo.",
    ],
)
def test_the_words_around_a_clause_say_whether_it_is_asserted(text: str) -> None:
    assert not learned(text)


@pytest.mark.parametrize(
    "text",
    [
        "You will be pleased to hear that Ann Smith lives in Oslo.",
        "Speaking of Ann Smith, she lives in Oslo.",
        "I am happy to say that Ann Smith lives in Oslo.",
    ],
)
def test_what_is_told_in_other_words_is_asserted(text: str) -> None:
    assert ("Ann Smith", "lives in", "Oslo") in learned(text)


def test_the_words_of_a_job_or_a_pet_lead_to_what_is_stated_of_them() -> None:
    assert learned("Ann Smith has a cat that goes by Rex.") == {("Ann Smith", "has a cat named", "Rex")}
    assert learned("Ann Smith keeps a horse called Comet.") == {("Ann Smith", "has a horse called", "Comet")}
    assert learned("Ann Smith has a celery allergy.") == {("Ann Smith", "is allergic to", "celery")}


def test_an_object_is_of_a_kind_that_the_relation_takes() -> None:
    assert learned("Ann Smith speaks passable Slovak.") == {("Ann Smith", "speaks", "Slovak")}
    assert learned("The Danube flows into the Black Sea.") == {("The Danube", "flows into", "the Black Sea")}
    assert not {fact for fact in learned("I'm tired today.") if "today" in fact}


def test_what_is_said_of_two_names_together_may_end_what_holds_of_both() -> None:
    (ended,) = (one for one in extract("Ann Smith and Tom Baker have gone separate ways.", PARSER) if one.ends)

    assert (ended.subject, ended.object, "is married to" in ended.ends) == ("Ann Smith", "Tom Baker", True)


def test_what_is_denied_with_any_more_is_not_the_opposite() -> None:
    found = extract("Ann Smith does not like tango any more.", PARSER)

    assert not [one for one in found if one.accepted]
    assert any("likes" in one.ends or one.relation == "likes" for one in found if one.may_end)

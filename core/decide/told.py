"""Makes facts of what a text states."""

from __future__ import annotations

from dataclasses import replace

from core.decide.commands import NewFact
from core.decide.limits import check_fact
from core.errors.base import InvalidField
from core.extraction.candidates import Candidate
from core.facts import Fact, Phrasebook, Source
from core.ids import FactId
from core.texts import sentence, tidy
from core.wordings import generated_wordings, origin_of

MAX_SPAN = 1000  # characters of `Source.span`


def stated(candidate: Candidate, source: Source, phrasebook: Phrasebook, id_: FactId) -> NewFact:
    """Returns the fact that `candidate` would be, with the memory's wordings."""
    subject, relation, object_ = tidy(candidate.subject), tidy(candidate.relation), tidy(candidate.object)
    wordings = generated_wordings(subject, relation, object_, phrasebook)
    fact = Fact(id=id_, subject=subject, relation=relation, object=object_, wordings=wordings)
    return NewFact(fact=fact, source=source, origin=origin_of(fact, phrasebook))


def noted(text: str, candidate: Candidate, source: Source) -> Source:
    """Returns `source` with the sentence of `candidate` in `text`, or its own words alone where that is too long."""
    sentence_ = text[slice(*candidate.sentence)]
    words = sentence_ if len(sentence_) <= MAX_SPAN else text[candidate.start : candidate.end]
    return replace(source, span=words[:MAX_SPAN], start=candidate.start, end=candidate.end)


def why_unusable(fact: Fact) -> str:
    """Returns which limit `fact`, with the memory's own wordings, breaks; "" for none."""
    try:
        check_fact(fact, "", generated=True)
    except InvalidField as error:
        return str(error)
    return ""


def says_the_same(known: Fact, new: Fact) -> bool:
    """Whether a known fact has the object of a `new` one of its subject and relation, or all of its objects."""
    return {*map(sentence, new.each)} <= {*map(sentence, known.each)} or sentence(known.object) == sentence(new.object)

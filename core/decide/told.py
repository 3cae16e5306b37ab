"""Makes facts of what a text states, and chooses those that can be added together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.decide.commands import NewFact
from core.decide.limits import check_fact
from core.errors.base import InvalidField
from core.extraction.candidates import Candidate
from core.facts import Fact, Phrasebook, Source
from core.ids import FactId
from core.state.memory import Memory, statement_key
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


def addable(memory: Memory, request: str, candidates: Sequence[NewFact]) -> tuple[NewFact, ...]:
    """Returns those of `candidates` that break no limit and contradict neither the memory nor one before them.

    Of a request that was accepted earlier and added nothing, those that it named then.
    """
    earlier = memory.requests.get(request)
    if earlier is not None and earlier.repeated:
        named = {_key(memory.facts[fact].fact) for fact in earlier.repeated}
        return tuple(candidate for candidate in candidates if _key(candidate.fact) in named)
    kept: dict[tuple[str, str], Fact] = {}
    chosen: list[NewFact] = []
    for candidate in candidates:
        key = _key(candidate.fact)
        live = memory.by_statement.get(key)
        before = memory.facts[live].fact if live is not None else kept.get(key)
        if why_unusable(candidate.fact) or (before is not None and not says_the_same(before, candidate.fact)):
            continue
        kept.setdefault(key, candidate.fact)
        chosen.append(candidate)
    return tuple(chosen)


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


def _key(fact: Fact) -> tuple[str, str]:
    return statement_key(fact.subject, fact.relation)

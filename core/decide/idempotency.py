"""Requests come again when their answer was lost: then they change nothing and are answered as at first."""

from __future__ import annotations

from collections.abc import Sequence

from core.decide.commands import AddFacts, RetractFact, RetryFacts, SupersedeFact, ToldFact
from core.errors.base import InvalidField, RequestReused
from core.facts import Fact
from core.ids import FactId
from core.state.memory import Memory, Request, statement_key
from core.texts import sentence

MAX_REQUEST_ID = 128  # characters


def check_request_id(request: str) -> None:
    """Raises InvalidField for an id that is empty or too long."""
    if not request:
        raise InvalidField("request_id", "is empty; send a fresh id, a UUID say, with each request")
    if len(request) > MAX_REQUEST_ID:
        raise InvalidField("request_id", f"has {len(request)} characters, at most {MAX_REQUEST_ID} are allowed")


def is_new(memory: Memory, command: AddFacts | SupersedeFact | RetractFact | RetryFacts) -> bool:
    """Whether the request was not carried out before. Raises InvalidField or RequestReused."""
    check_request_id(command.request)
    earlier = memory.requests.get(command.request)
    if earlier is None:
        return True
    if earlier.digest not in ("", command.request_digest) or not _may_be(memory, earlier, command):
        raise RequestReused(command.request)
    return False


def _may_be(memory: Memory, earlier: Request, command: AddFacts | SupersedeFact | RetractFact | RetryFacts) -> bool:
    """Whether `earlier` did what `command` asks for, to the same fact, as far as this shows without its digest."""
    superseded = [one for fact in earlier.facts if (one := memory.facts[fact].predecessor) is not None]
    if earlier.retries or isinstance(command, RetryFacts):
        same = isinstance(command, RetryFacts) and command.fact in (None, *earlier.facts)
        return earlier.retries and same
    match command:
        case RetractFact():
            return earlier.retracts and earlier.facts == (command.fact,)
        case SupersedeFact():
            return not earlier.retracts and superseded == [command.fact]
        case AddFacts() if earlier.repeated:
            return len(earlier.repeated) == len(command.facts) and all(
                _says(memory, fact, told.fact) for fact, told in zip(earlier.repeated, command.facts, strict=True)
            )
        case AddFacts():  # which facts shows in the state of then alone
            return not earlier.retracts and not superseded


def _says(memory: Memory, fact: FactId, told: Fact) -> bool:
    """Whether `fact` says what `told` does, as far as anybody can tell: of one that was erased nobody can."""
    known = memory.facts[fact].fact
    same = statement_key(known.subject, known.relation) == statement_key(told.subject, told.relation)
    return not known.subject or (same and sentence(known.object) == sentence(told.object))


def known_facts(memory: Memory, told: Sequence[ToldFact]) -> tuple[FactId, ...]:
    """The facts in `memory` that say what each of `told` does, as far as it knows them."""
    keys = [statement_key(one.fact.subject, one.fact.relation) for one in told]
    return tuple(memory.by_statement[key] for key in keys if key in memory.by_statement)


def facts_of(then: Memory, request: str, keys: Sequence[tuple[str, str]]) -> list[FactId]:
    """The facts that an accepted request to add facts had found or added, one for each of `keys`.

    Args:
        then: the memory as it was when the request had been carried out, without the words erased since.
        keys: `statement_key` of each fact that comes with the request now.

    Raises:
        RequestReused: it came with other facts, which only shows here once one of them was erased.
    """
    added = then.requests[request].facts
    found = {key: then.by_statement[key] for key in keys if key in then.by_statement}
    missing = [key for key in dict.fromkeys(keys) if key not in found]
    erased = [one.fact.id for one in then.facts.values() if not one.fact.subject and not one.retracted]
    own = [one for one in erased if one in added]  # in the order of the request
    lost = own or (erased if len(erased) == 1 else [])  # which of several it had found, nothing tells any more
    found.update(zip(missing, lost, strict=False))
    if not found.keys() >= set(keys) or not set(found.values()) >= set(added):
        raise RequestReused(request)
    return [found[key] for key in keys]

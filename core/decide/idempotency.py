"""Makes requests idempotent: a retry with the same id changes nothing and gets the original answer."""

from __future__ import annotations

from collections.abc import Sequence

from core.decide.commands import AddFacts, NewFact, RetractFact, RetryFacts, SupersedeFact
from core.decide.told import says_the_same
from core.errors.base import InvalidField, RequestReused
from core.facts import Fact
from core.ids import FactId
from core.state.memory import Memory, Request, statement_key

MAX_REQUEST_ID = 128  # characters


def check_request_id(request: str) -> None:
    """Raises InvalidField for an id that is empty or too long."""
    if not request:
        raise InvalidField("request_id", "is empty; send a new id, such as a UUID, with each request")
    if len(request) > MAX_REQUEST_ID:
        raise InvalidField("request_id", f"has {len(request)} characters, at most {MAX_REQUEST_ID} are allowed")


def is_new(memory: Memory, command: AddFacts | SupersedeFact | RetractFact | RetryFacts) -> bool:
    """Whether the request is not a retry of an accepted one. Raises InvalidField or RequestReused."""
    check_request_id(command.request)
    earlier = memory.requests.get(command.request)
    if earlier is None:
        return True
    if earlier.digest not in ("", command.request_digest) or not _may_be_retry(memory, earlier, command):
        raise RequestReused(command.request)
    return False


def _may_be_retry(
    memory: Memory, earlier: Request, command: AddFacts | SupersedeFact | RetractFact | RetryFacts
) -> bool:
    """Whether `command` may be `earlier` sent again: the same kind of request about the same facts.

    This does not compare digests, because the digest of `earlier` is gone once one of its facts was erased.
    """
    predecessors = (memory.facts[fact].predecessor for fact in earlier.facts)
    superseded = [fact for fact in predecessors if fact is not None]
    if earlier.retries or isinstance(command, RetryFacts):
        same_facts = isinstance(command, RetryFacts) and command.fact in (None, *earlier.facts)
        return earlier.retries and same_facts
    match command:
        case RetractFact():
            return earlier.retracts and earlier.facts == (command.fact,)
        case SupersedeFact():
            return not earlier.retracts and superseded == [command.fact]
        case AddFacts() if earlier.repeated:
            return len(earlier.repeated) == len(command.facts) and all(
                _may_say(memory, fact, new.fact) for fact, new in zip(earlier.repeated, command.facts, strict=True)
            )
        case AddFacts():  # whether its facts are the same only the state after `earlier` shows; see `facts_of`
            return not earlier.retracts and all(_may_be_list(memory, fact) for fact in earlier.facts)


def _may_be_list(memory: Memory, fact: FactId) -> bool:
    """Whether a request to add facts may have added `fact`: it supersedes another fact only as a list of objects."""
    state = memory.facts[fact]
    return state.predecessor is None or bool(state.fact.objects)


def _may_say(memory: Memory, fact: FactId, new: Fact) -> bool:
    """Whether `fact` says the same as `new`; also true if `fact` was erased, because that can no longer be known."""
    known = memory.facts[fact].fact
    same = statement_key(known.subject, known.relation) == statement_key(new.subject, new.relation)
    return not known.subject or (same and says_the_same(known, new))


def known_facts(memory: Memory, candidates: Sequence[NewFact]) -> tuple[FactId, ...]:
    """Returns the live facts that have the subject and relation of one of `candidates`."""
    keys = [statement_key(new.fact.subject, new.fact.relation) for new in candidates]
    return tuple(memory.by_statement[key] for key in keys if key in memory.by_statement)


def facts_of(then: Memory, request: str, keys: Sequence[tuple[str, str]]) -> list[FactId]:
    """Returns the fact that an accepted request to add facts added or already had for each of `keys`.

    Args:
        then: the memory right after the request was accepted, without the words that have been erased since.
        keys: `statement_key` of each fact in the retry.

    Raises:
        RequestReused: the retry has other facts than the request. Once one of them was erased, only this shows it.
    """
    added = then.requests[request].facts
    by_key = {key: then.by_statement[key] for key in keys if key in then.by_statement}
    missing = [key for key in dict.fromkeys(keys) if key not in by_key]
    # an erased fact has no words to look up: it can only be one whose key is missing
    erased = [state.fact.id for state in then.facts.values() if not state.fact.subject and not state.retracted]
    erased_and_added = [fact for fact in erased if fact in added]  # in the order of the request
    # if the request added none of them, a single erased fact must be the one; of several, none can be told apart
    lost = erased_and_added or (erased if len(erased) == 1 else [])
    by_key.update(zip(missing, lost, strict=False))
    if not by_key.keys() >= set(keys) or not set(by_key.values()) >= set(added):
        raise RequestReused(request)
    return [by_key[key] for key in keys]

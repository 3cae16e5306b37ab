"""Parses facts that clients add into `core` values in one spelling, and digests of requests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hypnogram.v1 import facts_pb2

from core.decide.commands import NewFact
from core.decide.limits import MAX_BATCH
from core.errors.base import InvalidField
from core.events.codec import canonical
from core.facts import Fact, Origin, Phrasebook, Source, Wordings, is_user
from core.ids import Digest, FactId
from core.state.memory import FactState
from core.texts import tidy
from core.wordings import are_generated, generated_wordings, origin_of
from service.rpc.messages import requests


def request_digest(facts: Sequence[facts_pb2.NewFact]) -> Digest:
    """Returns the SHA-256 of the canonical JSON of an AddFacts request."""
    return _digest([_stated(fact) for fact in facts])


def supersede_digest(request: facts_pb2.SupersedeFactRequest) -> Digest:
    """Returns the digest of a SupersedeFact request."""
    new = facts_pb2.NewFact(object=request.object, source=request.source)
    if request.HasField("wordings"):
        new.wordings.CopyFrom(request.wordings)
    return _digest(["supersede", request.fact, _stated(new)])


def retract_digest(request: facts_pb2.RetractFactRequest) -> Digest:
    """Returns the digest of a RetractFact request."""
    return _digest(["retract", request.fact, request.reason, request.erase])


def retry_digest(request: facts_pb2.RetryFactRequest) -> Digest:
    """Returns the digest of a RetryFact request."""
    return _digest(["retry", request.fact, request.all])


def successor(
    request: facts_pb2.SupersedeFactRequest, state: FactState, phrasebook: Phrasebook, id_: str, caller: str
) -> NewFact:
    """Returns the successor of a fact, with the wordings of the request or, without any, the client's earlier ones.

    Where the memory made the wordings of the old fact, it makes new ones, which fit the new object.
    """
    old, object_ = state.fact, tidy(request.object)
    if request.HasField("wordings"):
        wordings = _given(request.wordings)
    elif _are_of_client(state, phrasebook):
        wordings = old.wordings
    else:
        wordings = generated_wordings(old.subject, old.relation, object_, phrasebook)
    new = Fact(id=FactId(id_), subject=old.subject, relation=old.relation, object=object_, wordings=wordings)
    made = NewFact(fact=new, source=source(request.source, "source"), origin=origin_of(new, phrasebook))
    return by_user(made, caller)


def _are_of_client(state: FactState, phrasebook: Phrasebook) -> bool:
    """Whether a client gave the wordings of a fact; those of older logs are compared with what the memory makes."""
    if state.origin is None:
        return not are_generated(state.fact, phrasebook)
    return state.origin is Origin.CLIENT


def told_digest(request: facts_pb2.TellTextRequest) -> Digest:
    """Returns the digest of a TellText request."""
    return _digest(["tell", request.text, _source_values(request.source)])


def parse_facts(
    facts: Sequence[facts_pb2.NewFact], phrasebook: Phrasebook, next_id: Callable[[], str], caller: str
) -> tuple[NewFact, ...]:
    """Returns the facts of a request, with the client's wordings or, without any, made from `phrasebook`.

    Args:
        caller: who sends it; see `by_user`.
    """
    if len(facts) > MAX_BATCH:
        raise InvalidField("facts", f"has {len(facts)} facts, at most {MAX_BATCH} are allowed; send several requests")
    new = (_new(fact, f"facts[{index}].source", phrasebook, next_id()) for index, fact in enumerate(facts))
    return tuple(by_user(fact, caller) for fact in new)


def by_user(new: NewFact, caller: str) -> NewFact:
    """Returns `new` with `caller` as its client if it is about the user, because that is whose it is."""
    return replace(new, source=replace(new.source, client=caller)) if is_user(new.fact.subject) else new


def _new(new: facts_pb2.NewFact, path: str, phrasebook: Phrasebook, id_: str) -> NewFact:
    subject, relation, object_ = tidy(new.subject), tidy(new.relation), tidy(new.object)
    if new.HasField("wordings"):
        wordings = _given(new.wordings)
    else:
        wordings = generated_wordings(subject, relation, object_, phrasebook)
    fact = Fact(id=FactId(id_), subject=subject, relation=relation, object=object_, wordings=wordings)
    return NewFact(fact=fact, source=source(new.source, path), origin=origin_of(fact, phrasebook))


def _stated(new: facts_pb2.NewFact) -> dict[str, Any]:
    return {
        "subject": new.subject,
        "relation": new.relation,
        "object": new.object,
        "wordings": _wordings_values(new.wordings) if new.HasField("wordings") else None,
        "source": _source_values(new.source),
    }


def _source_values(source: facts_pb2.Source) -> list[Any]:
    """Returns the fields of a source; characters only where they are noted, so that older digests stay."""
    noted = [source.start, source.end] if source.end else []
    return [source.client, source.conversation, source.turn, source.span, *noted]


def _digest(values: list[Any]) -> Digest:
    return Digest(hashlib.sha256(canonical(values).encode()).hexdigest())


def _given(message: facts_pb2.Wordings) -> Wordings:
    return Wordings(
        statements=tuple(map(tidy, message.statements)),
        questions=tuple(map(tidy, message.questions)),
        answer=tidy(message.answer),
        probe_statements=tuple(map(tidy, message.probe_statements)),
        probe_questions=tuple(map(tidy, message.probe_questions)),
    )


def _wordings_values(message: facts_pb2.Wordings) -> dict[str, Any]:
    return {
        "statements": tuple(message.statements),
        "questions": tuple(message.questions),
        "answer": message.answer,
        "probe_statements": tuple(message.probe_statements),
        "probe_questions": tuple(message.probe_questions),
    }


def source(message: facts_pb2.Source, path: str) -> Source:
    """Returns where a fact came from, checked; `path` is that of the field."""
    if message.turn < 0:
        raise InvalidField(f"{path}.turn", f"is {message.turn}; turns count from 0")
    if not 0 <= message.start <= message.end:
        raise InvalidField(f"{path}.end", f"is {message.end}, before `start`, {message.start}, which counts from 0")
    return Source(
        client=requests.text(message.client, f"{path}.client"),
        conversation=requests.text(message.conversation, f"{path}.conversation"),
        turn=message.turn,
        span=requests.text(message.span, f"{path}.span"),
        start=message.start,
        end=message.end,
    )

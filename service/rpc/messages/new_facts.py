"""Parses facts that clients add into `core` values in one spelling, and digests of requests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from hypnogram.v1 import facts_pb2

from core.decide.commands import NewFact
from core.decide.limits import MAX_BATCH
from core.errors.base import InvalidField
from core.events.codec import canonical
from core.facts import Fact, Phrasebook, Source, Wordings
from core.ids import Digest, FactId
from core.texts import tidy
from core.wordings import are_generated, generated_wordings
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


def successor(request: facts_pb2.SupersedeFactRequest, old: Fact, phrasebook: Phrasebook, id_: str) -> NewFact:
    """Returns the successor of `old`, with the client's wordings or, without any, those of `old`."""
    object_ = tidy(request.object)
    if request.HasField("wordings"):
        wordings = _given(request.wordings)
    elif are_generated(old, phrasebook):
        wordings = generated_wordings(old.subject, old.relation, object_, phrasebook)
    else:
        wordings = old.wordings
    new = Fact(id=FactId(id_), subject=old.subject, relation=old.relation, object=object_, wordings=wordings)
    return NewFact(fact=new, source=_source(request.source, "source"))


def parse_facts(
    facts: Sequence[facts_pb2.NewFact], phrasebook: Phrasebook, next_id: Callable[[], str]
) -> tuple[NewFact, ...]:
    """Returns the facts of a request, with the client's wordings or, without any, made from `phrasebook`."""
    if len(facts) > MAX_BATCH:
        raise InvalidField("facts", f"has {len(facts)} facts, at most {MAX_BATCH} are allowed; send several requests")
    return tuple(
        NewFact(fact=_fact(fact, phrasebook, next_id()), source=_source(fact.source, f"facts[{index}].source"))
        for index, fact in enumerate(facts)
    )


def _fact(new: facts_pb2.NewFact, phrasebook: Phrasebook, id_: str) -> Fact:
    subject, relation, object_ = tidy(new.subject), tidy(new.relation), tidy(new.object)
    if new.HasField("wordings"):
        wordings = _given(new.wordings)
    else:
        wordings = generated_wordings(subject, relation, object_, phrasebook)
    return Fact(id=FactId(id_), subject=subject, relation=relation, object=object_, wordings=wordings)


def _stated(new: facts_pb2.NewFact) -> dict[str, Any]:
    return {
        "subject": new.subject,
        "relation": new.relation,
        "object": new.object,
        "wordings": _wordings_values(new.wordings) if new.HasField("wordings") else None,
        "source": [new.source.client, new.source.conversation, new.source.turn, new.source.span],
    }


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


def _source(message: facts_pb2.Source, path: str) -> Source:
    if message.turn < 0:
        raise InvalidField(f"{path}.turn", f"is {message.turn}; turns count from 0")
    return Source(
        client=requests.text(message.client, f"{path}.client"),
        conversation=requests.text(message.conversation, f"{path}.conversation"),
        turn=message.turn,
        span=requests.text(message.span, f"{path}.span"),
    )

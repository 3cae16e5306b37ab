"""What the tools of the MCP server return; their schemas tell agents what each field means."""

from __future__ import annotations

from typing import Annotated

from hypnogram.v1 import facts_pb2
from pydantic import BaseModel, Field

from core.errors.base import InvalidField

STATUS = "STATUS_"
STATUSES = [name.removeprefix(STATUS).lower() for name, number in facts_pb2.Status.items() if number]


class Fact(BaseModel):
    fact: Annotated[str, Field(description="id of the fact, for `why` and `forget`; empty where it is not recorded")]
    subject: str
    relation: str
    object: str
    status: Annotated[str, Field(description=f"one of {', '.join(STATUSES)}")]
    stage: Annotated[int, Field(description="0 while an edit carries the fact, the last one once adapters alone do")]
    failure: Annotated[str, Field(description="why the weights could not take it; empty where they could")]

    @classmethod
    def of(cls, fact: facts_pb2.Fact) -> Fact:
        return cls(
            fact=fact.fact,
            subject=fact.subject,
            relation=fact.relation,
            object=fact.object,
            status=status_word(fact.status),
            stage=fact.stage,
            failure=fact.failure,
        )


class NotAFact(BaseModel):
    """Something that a text says and that was not added."""

    subject: str
    relation: str
    object: str
    reason: Annotated[str, Field(description="why it was not added")]
    contradicts: Annotated[Fact | None, Field(description="the fact that would have to be forgotten first")] = None


class Told(BaseModel):
    version: Annotated[int, Field(description="version of the memory after the call")]
    facts: Annotated[list[Fact], Field(description="facts that the memory has now, new or known before")]
    not_facts: Annotated[list[NotAFact], Field(description="what the text says and the memory did not take")]

    @classmethod
    def of_text(cls, told: facts_pb2.TellTextResponse) -> Told:
        facts = [Fact.of(candidate.result.fact) for candidate in told.candidates if candidate.HasField("result")]
        rest = [candidate for candidate in told.candidates if not candidate.HasField("result")]
        return cls(version=told.version, facts=facts, not_facts=[_not_a_fact(candidate) for candidate in rest])

    @classmethod
    def of_facts(cls, added: facts_pb2.AddFactsResponse) -> Told:
        return cls(version=added.version, facts=[Fact.of(result.fact) for result in added.results], not_facts=[])


class Answer(BaseModel):
    answer: str
    model: Annotated[str, Field(description="memory and version that answered, to ask the same weights again")]
    weights_digest: Annotated[str, Field(description="digest of the weights that answered")]
    complete: Annotated[bool, Field(description="false where the limit of tokens cut the answer off")]


class Facts(BaseModel):
    version: Annotated[int, Field(description="version of the memory that is described")]
    facts: list[Fact]
    complete: Annotated[bool, Field(description="false where there are more facts than were asked for")]


class StatedIn(BaseModel):
    """Turns of a conversation whose texts still state a fact."""

    conversation: str
    turns: list[int]


class Forgotten(BaseModel):
    version: Annotated[int, Field(description="version of the memory after the call")]
    fact: Fact
    stated_in: Annotated[
        list[StatedIn], Field(description="with `erase`: turns whose texts still state it; they stay until erased, too")
    ]

    @classmethod
    def of(cls, retracted: facts_pb2.RetractFactResponse) -> Forgotten:
        stated_in = [StatedIn(conversation=it.conversation, turns=list(it.turns)) for it in retracted.stated_in]
        return cls(version=retracted.version, fact=Fact.of(retracted.fact), stated_in=stated_in)


class Step(BaseModel):
    """An event in the life of a fact."""

    version: int
    at: Annotated[str, Field(description="time, ISO 8601")]
    actor: str
    summary: str
    decisive: Annotated[bool, Field(description="whether it put the fact at its present stage")]

    @classmethod
    def of(cls, entry: facts_pb2.LineageEntry) -> Step:
        event = entry.event
        return cls(
            version=event.version,
            at=event.recorded_at.ToJsonString(),
            actor=event.actor,
            summary=entry.summary,
            decisive=entry.decisive,
        )


class Why(BaseModel):
    model: Annotated[str, Field(description="memory and version that are described")]
    weights_digest: Annotated[str, Field(description="digest of the weights at that version")]
    base: Annotated[str, Field(description="base model beneath them")]
    edits: Annotated[int, Field(description="edits in these weights")]
    adapters: Annotated[int, Field(description="adapters in these weights")]
    fact: Fact | None = None
    said_in: Annotated[str, Field(description="words that the fact was taken from; empty where not noted")] = ""
    events: Annotated[list[Step], Field(description="events about the fact and what caused them, oldest first")] = []


def status_named(word: str) -> facts_pb2.Status.ValueType:
    """Returns the status of a word; that of all facts for an empty one. Raises InvalidField."""
    if word and word not in STATUSES:
        raise InvalidField("status", f"{word!r} is not one of {', '.join(STATUSES)}")
    return facts_pb2.Status.Value(f"{STATUS}{word.upper() or 'UNSPECIFIED'}")


def status_word(status: facts_pb2.Status.ValueType) -> str:
    """Returns the word of a status: `pending`."""
    return facts_pb2.Status.Name(status).removeprefix(STATUS).lower()


def _not_a_fact(candidate: facts_pb2.Candidate) -> NotAFact:
    return NotAFact(
        subject=candidate.subject,
        relation=candidate.relation,
        object=candidate.object,
        reason=candidate.explanation,
        contradicts=Fact.of(candidate.contradicts) if candidate.HasField("contradicts") else None,
    )

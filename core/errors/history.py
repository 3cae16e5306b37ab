"""Errors of checkpoints, forks, past versions, retraction and compaction.

    Refused
    |-- CheckpointUnknown        no checkpoint of that name in this memory
    |-- CheckpointTaken          the name is that of another version
    |-- MomentUnknown            the time is before the memory's first event
    |-- FactRetracted            the fact is already retracted or superseded
    |-- FactHeld                 another memory shares the fact and has not retracted it
    |-- AsleepThen               a fork cannot begin inside a sleep; names the version before it
    |-- HalfRecorded             a fork cannot begin inside one append; names the versions around it
    |-- NothingToCompact         fewer columns would change the weights by more than allowed
    `-- WordsErased              the request needs words or columns of a fact that was erased

See `core/errors/` for the rest of the tree.
"""

from __future__ import annotations

from core.errors.base import Refused


class CheckpointUnknown(Refused):
    reason = "CHECKPOINT_UNKNOWN"

    def __init__(self, memory: str, name: str) -> None:
        super().__init__(
            f"memory {memory!r} has no checkpoint {name!r}; list its checkpoints, or mark one",
            memory=memory,
            checkpoint=name,
        )


class CheckpointTaken(Refused):
    reason = "CHECKPOINT_TAKEN"

    def __init__(self, memory: str, name: str, version: int) -> None:
        super().__init__(
            f"checkpoint {name!r} of memory {memory!r} stands for version {version}; choose another name",
            memory=memory,
            checkpoint=name,
            version=version,
        )


class MomentUnknown(Refused):
    reason = "MOMENT_UNKNOWN"

    def __init__(self, memory: str, time: str, first: str) -> None:
        super().__init__(
            f"memory {memory!r} had no version at {time}: its first event is from {first}; give a later time",
            memory=memory,
            time=time,
            first=first,
        )


class FactRetracted(Refused):
    """`metadata["successor"]` is the live fact in its place, if there is one."""

    reason = "FACT_RETRACTED"

    def __init__(self, memory: str, fact: str, version: int, successor: str | None) -> None:
        if successor is None:
            super().__init__(
                f"fact {fact} of memory {memory!r} was retracted at version {version}; to have it again, add it again",
                memory=memory,
                fact=fact,
                version=version,
            )
        else:
            super().__init__(
                f"fact {fact} of memory {memory!r} was retracted or superseded at version {version}, and fact "
                f"{successor} is in its place: name that one instead",
                memory=memory,
                fact=fact,
                version=version,
                successor=successor,
            )


class FactHeld(Refused):
    reason = "FACT_HELD"

    def __init__(self, fact: str, memory: str = "") -> None:
        """`memory` is empty where whoever is told may not read it."""
        holder = f"memory {memory!r}" if memory else "another memory"
        super().__init__(
            f"fact {fact} cannot be erased while {holder}, which shares it, has not retracted it: retract it there "
            "first",
            fact=fact,
            **({"memory": memory} if memory else {}),
        )


class AsleepThen(Refused):
    reason = "ASLEEP_THEN"

    def __init__(self, memory: str, version: int, began: int) -> None:
        super().__init__(
            f"memory {memory!r} was asleep at version {version}, and a fork begins awake: fork it at version "
            f"{began - 1}, before that sleep, or at its end",
            memory=memory,
            version=version,
            before=began - 1,
        )


class HalfRecorded(Refused):
    reason = "HALF_RECORDED"

    def __init__(self, memory: str, version: int, before: int, after: int) -> None:
        super().__init__(
            f"version {version} of memory {memory!r} is in the middle of one append, and no client ever saw the memory "
            f"in that state: fork it at version {before} or {after}",
            memory=memory,
            version=version,
            before=before,
            after=after,
        )


class NothingToCompact(Refused):
    reason = "NOTHING_TO_COMPACT"

    def __init__(self, memory: str, why: str) -> None:
        super().__init__(f"memory {memory!r} has nothing to compact: {why}", memory=memory)


class WordsErased(Refused):
    reason = "WORDS_ERASED"

    def __init__(self, fact: str) -> None:
        super().__init__(
            f"this needs the columns of fact {fact}, which was erased: choose a version after it left the weights, or "
            "one before it was added",
            fact=fact,
        )

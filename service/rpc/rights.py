"""Which right on which memory each call needs, and what of it limits count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.guard.rights import ALL, Right

Need = tuple[Right, str]  # a right, and a memory or `ALL`


def _on(right: Right) -> Callable[[Any], list[Need]]:
    """Returns what a call with a `memory` needs of it."""
    return lambda request: [(right, request.memory)]


_READ, _WRITE, _ADMIN = _on(Right.READ), _on(Right.WRITE), _on(Right.ADMIN)
_KNOWN: Callable[[Any], list[Need]] = lambda request: []  # noqa: E731  # the servicer asks for rights on what it finds

NEEDS: dict[str, Callable[[Any], list[Need]]] = {
    "/hypnogram.v1.Memories/CreateMemory": _ADMIN,
    "/hypnogram.v1.Memories/GetMemory": _READ,
    "/hypnogram.v1.Memories/ListMemories": _KNOWN,
    "/hypnogram.v1.Memories/ForkMemory": lambda request: [*_ADMIN(request), (Right.READ, request.parent)],
    "/hypnogram.v1.Memories/RebaseMemory": _ADMIN,
    "/hypnogram.v1.Memories/DeleteMemory": _ADMIN,
    "/hypnogram.v1.Facts/AddFacts": _WRITE,
    "/hypnogram.v1.Facts/TellText": _WRITE,
    "/hypnogram.v1.Facts/GetFact": _READ,
    "/hypnogram.v1.Facts/ListFacts": _READ,
    "/hypnogram.v1.Facts/GetLineage": _READ,
    "/hypnogram.v1.Facts/SupersedeFact": _WRITE,
    "/hypnogram.v1.Facts/RetractFact": _WRITE,
    "/hypnogram.v1.Facts/RetryFact": _WRITE,
    "/hypnogram.v1.Sleep/Sleep": _WRITE,
    "/hypnogram.v1.Sleep/Nap": _WRITE,
    "/hypnogram.v1.Sleep/GetSleep": _READ,
    "/hypnogram.v1.Sleep/ListSleeps": _READ,
    "/hypnogram.v1.Sleep/CancelSleep": _WRITE,
    "/hypnogram.v1.Sleep/WatchSleep": _READ,
    "/hypnogram.v1.History/ReadEvents": _READ,
    "/hypnogram.v1.History/Watch": _READ,
    "/hypnogram.v1.History/Replay": lambda request: [
        *_READ(request),
        *([(Right.ADMIN, request.restore_as)] if request.restore_as else []),
    ],
    "/hypnogram.v1.History/MarkCheckpoint": _WRITE,
    "/hypnogram.v1.History/ListCheckpoints": _READ,
    "/hypnogram.v1.History/FindVersion": _READ,
    "/hypnogram.v1.History/Diff": lambda request: [*_READ(getattr(request, "from")), *_READ(request.to)],
    "/hypnogram.v1.History/VerifyLog": lambda request: [(Right.ADMIN, ALL)],
    "/hypnogram.v1.History/Compact": _ADMIN,
    "/hypnogram.v1.Chat/Chat": _READ,  # and to write where it is recorded, which the servicer finds out
    "/hypnogram.v1.Chat/Complete": _READ,
    "/hypnogram.v1.Chat/ListConversations": _READ,
    "/hypnogram.v1.Chat/ListTurns": _READ,
    "/hypnogram.v1.Chat/EraseConversation": _WRITE,
    "/google.longrunning.Operations/GetOperation": _KNOWN,
    "/google.longrunning.Operations/ListOperations": _KNOWN,
    "/google.longrunning.Operations/CancelOperation": _KNOWN,
    "/google.longrunning.Operations/DeleteOperation": _KNOWN,
    "/google.longrunning.Operations/WaitOperation": _KNOWN,
}
GENERATES = frozenset({"/hypnogram.v1.Chat/Chat", "/hypnogram.v1.Chat/Complete"})  # answers, which limits count
TELL_TEXT = "/hypnogram.v1.Facts/TellText"
FACTS: dict[str, Callable[[Any], int]] = {
    "/hypnogram.v1.Facts/AddFacts": lambda request: len(request.facts),
    "/hypnogram.v1.Facts/SupersedeFact": lambda request: 1,
    TELL_TEXT: lambda request: 1,  # how many more it is shows its response
}


def facts_told(method: str, request: Any) -> int:
    """Returns how many facts a call tells, as far as its request shows."""
    count = FACTS.get(method)
    return 0 if count is None or getattr(request, "validate_only", False) else count(request)


def facts_found(response: Any) -> int:
    """Returns how many facts a call has added beyond those that its request showed."""
    added = sum(bool(candidate.result.added) for candidate in response.candidates)
    return max(added - 1, 0)


def needs(method: str, request: Any) -> list[Need]:
    """Returns what a call needs; a method that is not listed needs everything."""
    listed = NEEDS.get(method)
    return [(Right.ADMIN, ALL)] if listed is None else listed(request)

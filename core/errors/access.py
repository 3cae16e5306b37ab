"""Errors of who may call what, and how often.

HypnogramError
|-- Unauthenticated          a token is missing, or is not valid
|-- NotPermitted             the token does not allow the call; names the right and the memory
|-- ForeignForm              a page of another site sent a form of the page
`-- TooManyCalls             a client calls more often than its limit; says when to call again
    |-- TooManyBytes         its requests have more bytes
    |-- TooManyFacts         it tells more facts
    `-- TooManyAnswers       as many answers are generated for a client as its limit allows
"""

from __future__ import annotations

from core.errors.base import HypnogramError


class Unauthenticated(HypnogramError):
    reason = "UNAUTHENTICATED"


class NotPermitted(HypnogramError):
    reason = "NOT_PERMITTED"

    def __init__(self, right: str, memory: str) -> None:
        which = "all memories" if memory == "*" else f"memory {memory!r}"
        super().__init__(
            f"the token does not allow to {right} {which}; use another, or create one with `hypnogram token create`",
            right=right,
            memory=memory,
        )


class ForeignForm(HypnogramError):
    reason = "FOREIGN_FORM"

    def __init__(self) -> None:
        super().__init__("this form was sent by a page of another site; open the page here and send it again")


class TooManyCalls(HypnogramError):
    """`seconds`: after which a call will be served."""

    reason = "TOO_MANY_CALLS"

    def __init__(self, limit: int, seconds: float, what: str = "requests a minute", **metadata: object) -> None:
        super().__init__(
            f"this client has its {limit} {what}; repeat the call in {seconds:.1f} seconds",
            limit=limit,
            seconds=round(seconds, 1),
            **metadata,
        )
        self.seconds = seconds


class TooManyBytes(TooManyCalls):
    reason = "TOO_MANY_BYTES"

    def __init__(self, limit: int, seconds: float) -> None:
        super().__init__(limit, seconds, "bytes of requests a minute")


class TooManyFacts(TooManyCalls):
    reason = "TOO_MANY_FACTS"

    def __init__(self, limit: int, seconds: float) -> None:
        super().__init__(limit, seconds, "facts a minute")


class TooManyAnswers(TooManyCalls):
    reason = "TOO_MANY_ANSWERS"

    def __init__(self, limit: int, seconds: float) -> None:
        super().__init__(limit, seconds, "answers that are generated at the same time")

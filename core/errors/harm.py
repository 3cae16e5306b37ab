"""Errors of facts that would harm other answers.

Unlearnable
`-- Harmful                  a fact was written, and undone because of what else changed; names the facts
    `-- Contaminated         other answers said a told object
"""

from __future__ import annotations

from collections.abc import Sequence

from core.errors.base import Unlearnable
from core.ids import FactId


class Harmful(Unlearnable):
    """Writing `facts` would change other answers more than the policy of their memory allows."""

    reason = "HARMFUL"

    def __init__(self, facts: Sequence[FactId], message: str, **metadata: object) -> None:
        super().__init__(message, facts=", ".join(facts), **metadata)
        self.facts = tuple(facts)


class Contaminated(Harmful):
    """With the edit of the facts, answers about others, or about other things, say a told object."""

    reason = "CONTAMINATED"

    def __init__(
        self,
        facts: Sequence[FactId],
        *,
        strangers: float,
        namesakes: float,
        untold: float,
        asked: int,
        limit: float,
        untold_limit: float,
    ) -> None:
        super().__init__(
            facts,
            f"with its edit a told object is said in {strangers:.0%} of answers about strangers, {namesakes:.0%} about "
            f"namesakes and {untold:.0%} about untold relations ({asked} asked of each kind); the policy allows "
            f"{limit:.0%} of strangers or namesakes and {untold_limit:.0%} of untold relations; give the subject a "
            "longer or rarer name, or the fact other wordings, and add it again",
            strangers=strangers,
            namesakes=namesakes,
            untold=untold,
            asked=asked,
            contamination_limit=limit,
            untold_limit=untold_limit,
        )

"""Errors of facts that would harm other answers.

Unlearnable
`-- Harmful                  a fact was written, and undone because of what else changed; names the facts
    `-- Contaminated         other answers said a told object
"""

from __future__ import annotations

from collections.abc import Sequence

from core.errors.base import Refused, Unlearnable
from core.ids import FactId


class FalseFiresReached(Refused):
    """The neurons in force respond in other text as often as the policy of their memory allows."""

    reason = "FALSE_FIRES_REACHED"

    def __init__(self, total: float, limit: float) -> None:
        super().__init__(
            f"the neurons in force respond at {total:g} of a million tokens of other text, and the policy allows "
            f"{limit:g} (false_fires_limit); retract facts and add these then, or create a memory with a higher limit",
            false_fires=total,
            false_fires_limit=limit,
        )


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


class FalseFiresExceeded(Harmful):
    """With the neurons of the facts, neurons respond in other text more often than the policy allows."""

    reason = "FALSE_FIRES_EXCEEDED"

    def __init__(self, facts: Sequence[FactId], before: float, added: float, limit: float) -> None:
        super().__init__(
            facts,
            f"the neurons in force respond at {before:g} of a million tokens of other text and its own at "
            f"{added:g}, and the policy allows {limit:g} in all (false_fires_limit); give the subject a longer or "
            "rarer name, or retract facts, and try again",
            false_fires=before,
            added=added,
            false_fires_limit=limit,
        )

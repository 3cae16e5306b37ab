"""Says whose the facts about "the user" of a memory are, and which chats are answered without them.

A question in the first person holds no name, so that the weights cannot tell who asks. So a memory learns what one
user says about themselves, and who else chats with it is answered without these facts.
"""

from __future__ import annotations

from core.errors.base import Refused
from core.errors.conversation import AnotherUser, NoUserFacts
from core.facts import is_user
from core.ids import FactId
from core.state.memory import FactState, Memory


def refusal_about_user(memory: Memory, subject: str, client: str) -> Refused | None:
    """Returns why what `client` says of `subject` cannot be a fact about the user; None where it can, or is not one."""
    if not is_user(subject):
        return None
    assert memory.created is not None
    if not memory.created.about_user:
        return NoUserFacts()
    taken = any(not state.retracted and _is_of_another(state, client) for state in memory.facts.values())
    return AnotherUser() if taken else None


def unheard_by(memory: Memory, client: str) -> frozenset[FactId]:
    """Returns the facts without which the chats of `client` are answered: those about another user."""
    return frozenset(fact for fact, state in memory.facts.items() if _is_of_another(state, client))


def _is_of_another(state: FactState, client: str) -> bool:
    return is_user(state.fact.subject) and state.source.client != client

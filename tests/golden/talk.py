"""The life of a memory that learns in conversations, for a golden log."""

from __future__ import annotations

from core.decide.commands import CloseConversation, CreateMemory, RecordReply, Say
from core.events.memory import MemoryCreated
from core.ids import ConversationKey, Digest, FactId
from core.remember import Remember
from service.app.repository import MemoryRepository
from service.app.store import Store
from service.weights.base_models import BaseModels
from store.clock import next_uuid
from tests.prepared import CAUSE, DEMO, work

SAID = (
    ("monday", "Aria Moss lives in Rome. Bo Lind likes tea. Does Cy Ames sing?"),
    ("monday", "Actually, Aria Moss lives in Lima. Bo Lind likes tea."),
    ("tuesday", "Bo Lind no longer likes tea. Dee Orr speaks Welsh."),
)


def live(store: Store, created: MemoryCreated) -> None:
    """A life with conversations: facts learned, said again, superseded and retracted, and one conversation erased."""
    states, bases = MemoryRepository(store.log, store.snapshots), BaseModels("cpu")
    states.execute(DEMO, lambda _: CreateMemory(memory=DEMO, created=created), CAUSE)
    for conversation, text in SAID:
        _talk(states, conversation, text)
        work(store, bases)
    closing = CloseConversation(memory=DEMO, conversation="monday", facts=False)
    states.execute(DEMO, lambda _: closing, CAUSE)
    work(store, bases)


def _talk(states: MemoryRepository, conversation: str, text: str) -> None:
    """A turn of a user, and a reply to it."""
    key = ConversationKey(FactId(next_uuid()))
    say = Say(memory=DEMO, conversation=conversation, key=key, text=text, remember=Remember.ON)
    state = states.execute(DEMO, lambda _: say, CAUSE)
    turn = state.conversations[conversation].turns
    reply = RecordReply(
        memory=DEMO,
        conversation=conversation,
        to=turn,
        text="I see.",
        version=1,
        weights=Digest("0" * 64),
        complete=True,
    )
    states.execute(DEMO, lambda _: reply, CAUSE)

"""A question to the model of a memory as it is, and beside it as it was."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.responses import Response

from core.errors.base import InvalidField
from service.web import models
from service.web.page.visit import Visit


@dataclass(frozen=True, slots=True)
class Said:
    """An answer, and the weights that it comes from."""

    title: str
    text: str
    version: int
    weights: str


async def asking(visit: Visit, answers: tuple[Said, ...] = ()) -> Response:
    """Shows the form for a question, and the answers to the last one."""
    known = await visit.client.memory(visit.memory)
    checkpoints = [mark async for mark in visit.client.checkpoints(visit.memory, known.version)]
    return visit.page("chat.html", known=known, checkpoints=checkpoints[::-1], answers=answers)


async def ask(visit: Visit) -> Response:
    """Asks one model after the other, because a visitor may have room for one answer at a time."""
    await visit.client.memory(visit.memory)  # which checks what the visitor may read
    question, at = visit.form.get("question", "").strip(), visit.form.get("at", "").strip()
    if not question:
        raise InvalidField("question", "is empty; write what to ask the model")
    versions: dict[str, int | None] = {"As it is": None}
    if at:  # looked up first, because an answer takes long
        name = f"{visit.memory}{models.AT}{at}"
        versions[f"As it was at {at}"] = await asyncio.to_thread(models.version_of, visit.parts, name)
    answers = [await _said(visit, question, title, version) for title, version in versions.items()]
    return await asking(visit, tuple(answers))


async def _said(visit: Visit, question: str, title: str, version: int | None) -> Said:
    said = visit.client.chat(visit.memory, question, remember="off", at_version=version)
    pieces = [piece async for piece in said]
    last = pieces[-1]
    return Said(title, "".join(piece.text for piece in pieces).strip(), last.version, last.weights_digest)

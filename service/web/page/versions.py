"""The versions of a memory: how they get names, what differs between two, how they are downloaded and forked."""

from __future__ import annotations

import asyncio

from hypnogram.v1 import history_pb2
from starlette.responses import Response

from core.errors.base import InvalidField
from core.method import Method
from core.moments import Moment, parsed_moment
from service.app.moments import state_at
from service.rpc.messages.requests import memory_id
from service.web.page.downloads import BEGUN
from service.web.page.visit import Visit, check_origin, moved

CHANGES = {history_pb2.CHANGE_ADDED: "added", history_pb2.CHANGE_LOST: "lost", history_pb2.CHANGE_MOVED: "moved"}
KINDS = {
    "merged": "The whole model, which Hugging Face's Transformers loads",
    "adapter": "A LoRA adapter, which stock peft loads on the base model",
}
DIGITS = 18  # of a version, at most, which int64 holds


async def shown(visit: Visit) -> Response:
    """Shows the checkpoints of a memory, the last one first, and what can be done with a version."""
    known = await visit.client.memory(visit.memory)
    checkpoints = [mark async for mark in visit.client.checkpoints(visit.memory, known.version)]
    return visit.page("versions.html", known=known, checkpoints=checkpoints[::-1], asked=_asked(visit))


async def differences(visit: Visit) -> Response:
    """Shows what differs between two versions, of one memory or of two; the models are asked for no other site."""
    asked = _asked(visit)
    if asked["ask"] == "yes":
        check_origin(visit.request)
    known = await visit.client.memory(visit.memory)
    beside = asked["other"] or visit.memory
    sides = (visit.memory, _moment(asked["before"])), (beside, _moment(asked["after"]))
    diff = await visit.client.diff(*sides, ask=asked["ask"] == "yes")
    checkpoints = [mark async for mark in visit.client.checkpoints(visit.memory, known.version)]
    return visit.page(
        "differences.html",
        checkpoints=checkpoints[::-1],
        asked=asked,
        beside=beside,
        diff=diff,
        changes=CHANGES,
    )


async def marking(visit: Visit) -> Response:
    """Asks for the name of a checkpoint."""
    visit.check_write()
    return visit.page("checkpoint.html", known=await visit.client.memory(visit.memory))


async def mark(visit: Visit) -> Response:
    version = visit.form.get("version", "")
    if not version.isdecimal() or len(version) > DIGITS:
        raise InvalidField("version", "is not a version; open the form again")
    await visit.client.mark(visit.memory, visit.form.get("name", "").strip(), int(version))
    return moved(f"/memories/{visit.memory}/versions?done=marked")


async def exporting(visit: Visit) -> Response:
    """Asks which version to download and as what, and shows the commands that write files.

    The page sends no archive of a memory, because that holds the keys of every fact.
    """
    known = await visit.client.memory(visit.memory)
    kinds = {kind: words for kind, words in KINDS.items() if kind == "merged" or known.memory.method != Method.NEURON}
    return visit.page("export.html", known=known, kinds=kinds, begun=BEGUN)


async def export(visit: Visit) -> Response:
    """Builds the weights of a version and sends them in one file."""
    visit.check_export()
    memory, kind = memory_id(visit.memory), visit.form.get("kind", "")
    moment = _moment(visit.form.get("at", "").strip())
    if kind not in KINDS:
        raise InvalidField("kind", f"choose {' or '.join(KINDS)}")
    parts = visit.parts
    state = await asyncio.to_thread(state_at, parts.store.log, parts.states, memory, moment)
    return await visit.sent(
        f"{memory}-{state.version}-{kind}",
        lambda folder, cancelled: parts.models.export(memory, state, kind, folder, cancelled),
    )


async def forking(visit: Visit) -> Response:
    """Asks for the name of a fork, and at which version it begins."""
    visit.check_create()
    return visit.page("fork.html", known=await visit.client.memory(visit.memory))


async def fork(visit: Visit) -> Response:
    name, at = (visit.form.get(field, "").strip() for field in ("name", "at"))
    await visit.client.fork(name, visit.memory, _moment(at))
    return moved(f"/memories/{name}?done=forked")


def _asked(visit: Visit) -> dict[str, str]:
    """Returns what is to be compared."""
    return {name: visit.asked(name).strip() for name in ("before", "after", "other", "ask")}


def _moment(text: str) -> Moment:
    return parsed_moment(text) if text else None

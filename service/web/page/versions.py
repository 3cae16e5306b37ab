"""The versions of a memory: how one gets a name, what differs between two, and how a fork begins at one."""

from __future__ import annotations

from hypnogram.v1 import history_pb2
from starlette.responses import Response

from core.errors.base import InvalidField
from core.method import Method
from core.moments import Moment, parsed_moment
from service.web.page.visit import Visit, check_origin, moved

CHANGES = {history_pb2.CHANGE_ADDED: "added", history_pb2.CHANGE_LOST: "lost", history_pb2.CHANGE_MOVED: "moved"}
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
    """Shows the commands that write a version into files.

    The page itself sends none: an archive holds the keys of every fact, which a token that reads must not get.
    """
    known = await visit.client.memory(visit.memory)
    return visit.page("export.html", known=known, has_neurons=known.memory.method == Method.NEURON)


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

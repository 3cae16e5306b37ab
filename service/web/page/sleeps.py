"""The sleeps of a memory: how they went, how one begins and how one is cancelled."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from core.errors.base import InvalidField
from core.ids import MemoryId
from service.report.page import figures
from service.report.timeline import fold_timeline
from service.web.page.visit import Visit, moved

KINDS = ("sleep", "nap")


async def shown(visit: Visit) -> Response:
    """Shows the hypnogram of a memory, its audits, and its sleeps, the last one first."""
    known = await visit.client.memory(visit.memory)  # which checks what the visitor may read
    sleeps = [sleep async for sleep in visit.client.sleeps(visit.memory, known.version)]
    log, memory = visit.parts.store.log, MemoryId(visit.memory)

    def drawn() -> str:
        return "".join(figures(fold_timeline(log.iterate(memory, until_version=known.version))))

    return visit.page("sleeps.html", known=known, sleeps=sleeps[::-1], figures=await asyncio.to_thread(drawn))


async def putting_to_sleep(visit: Visit) -> Response:
    """Asks whether the memory is to sleep."""
    visit.check_write()
    return visit.page("sleep.html", known=await visit.client.memory(visit.memory))


async def put_to_sleep(visit: Visit) -> Response:
    kind = visit.form.get("kind", "")
    if kind not in KINDS:
        raise InvalidField("kind", f"is not one of {', '.join(KINDS)}")
    begin = visit.client.begin_sleep if kind == "sleep" else visit.client.begin_nap
    await begin(visit.memory, request_id=visit.request_id)
    return moved(f"/memories/{visit.memory}/sleeps?done=asleep")


async def cancelling(visit: Visit) -> Response:
    """Asks whether a sleep is to end before its work is done."""
    visit.check_write()
    sleep = (await visit.client.sleep_report(visit.memory, visit.sleep)).report
    return visit.page("cancel.html", sleep=sleep)


async def cancel(visit: Visit) -> Response:
    await visit.client.cancel_sleep(visit.memory, visit.sleep)
    return moved(f"/memories/{visit.memory}/sleeps?done=cancelled")

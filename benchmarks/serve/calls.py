"""Measures how long calls take that ask no model, while many clients make them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from benchmarks.serve.hosts import Host, name
from hypnogram.client import AsyncClient, new_fact

Call = Callable[[AsyncClient, int], Awaitable[object]]


def latencies(host: Host, clients: int, memories: int, each: int) -> dict[str, list[float]]:
    """Returns the seconds of each call, by its name; each client calls `each` times on a connection of its own."""
    return asyncio.run(_latencies(host, clients, memories, each))


async def _latencies(host: Host, clients: int, memories: int, each: int) -> dict[str, list[float]]:
    connected = [AsyncClient(host.address) for _ in range(clients)]
    known = [new_fact("Aria Voss", "lives in", "Rome")]
    told = await asyncio.gather(*(connected[0].add_facts(name(memory), known) for memory in range(memories)))
    facts = [answer.results[0].fact.fact for answer in told]

    def get(client: AsyncClient, number: int) -> Awaitable[object]:
        return client.fact(name(number % memories), facts[number % memories])

    def add(client: AsyncClient, number: int) -> Awaitable[object]:
        return client.add_facts(name(number % memories), [new_fact(f"Person Number{number}", "lives in", "Rome")])

    try:
        return {"GetFact": await _timed(connected, get, each), "AddFacts": await _timed(connected, add, each)}
    finally:
        for client in connected:
            await client.close()


async def _timed(clients: list[AsyncClient], call: Call, times: int) -> list[float]:
    async def repeated(place: int, client: AsyncClient) -> list[float]:
        seconds = []
        for turn in range(times):
            began = time.monotonic()
            await call(client, turn * len(clients) + place)
            seconds.append(time.monotonic() - began)
        return seconds

    each = await asyncio.gather(*(repeated(place, client) for place, client in enumerate(clients)))
    return [seconds for one_client in each for seconds in one_client]


def percentile(seconds: list[float], share: float) -> float:
    """Returns the least value that is not below `share` of all."""
    ordered = sorted(seconds)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]

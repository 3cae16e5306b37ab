"""`hypnogram fact retry`."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli import options
from service.cli.facts.changes import ExpectedVersion, RequestId, Timeout
from service.cli.output import UsageProblem, as_dict, connected, print_json, print_text, raise_if_parked
from service.terminal.reasons import for_memory
from service.terminal.spinner import waiting


def retry(
    *,
    fact: Annotated[
        str | None, typer.Argument(metavar="[FACT]", help="Id of the fact, as `hypnogram fact list` shows it.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Try every fact that was given up.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until the work is done or given up again.")
    ] = True,
    request_id: RequestId = "",
    expected_version: ExpectedVersion = None,
    timeout: Timeout = 600.0,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Try again to write parked facts, and to withdraw or erase facts for which that was given up."""
    from hypnogram.v1 import facts_pb2

    if (fact is None) != all_:
        raise UsageProblem("name a fact, or give --all, and not both")
    name = options.memory_name(memory)
    with connected(address) as client, waiting(for_memory(client, name), quiet=json):
        answer = client.retry_fact(
            name,
            fact or "",
            request_id=request_id,
            expected_version=expected_version,
            wait=wait,
            timeout=timeout,
        )
    if json:
        print_json(as_dict(answer))
    else:
        for retried in answer.facts:
            status = facts_pb2.Status.Name(retried.status).removeprefix("STATUS_").lower()
            print_text(f"{retried.fact}  {status}{f': {retried.failure}' if retried.failure else ''}")
        if not answer.facts:
            print_text("nothing was given up")
    raise_if_parked(answer.facts)

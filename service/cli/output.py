"""Output of commands: JSON for programs, tables for people, and one line for a failure."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hypnogram.client import CallFailed

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from grpc import ChannelCredentials
    from hypnogram.v1 import facts_pb2

    from hypnogram.client import Client
    from service.settings import Settings

WIDE = 300  # characters of a table row in a file or a pipe
SOON = 2.0  # seconds in which a server that is up responds
REASON = 40  # characters of a reason in a table

NEXT_STEPS = {
    "MEMORY_UNKNOWN": "create it with `hypnogram memory create`, or see `hypnogram memory list`",
    "MEMORY_DELETED": "`hypnogram log` shows its events; `hypnogram memory create` creates a new memory of that name",
    "FACT_UNKNOWN": "see `hypnogram fact list`",
    "VERSION_UNKNOWN": "see `hypnogram log`",
    "CONVERSATION_UNKNOWN": "see `hypnogram conversation list`",
    "CONVERSATION_ERASED": "name another with --conversation",
    "CHECKPOINT_UNKNOWN": "see `hypnogram checkpoint list`; a time has a colon in it, as in 2026-11-24T10:00",
    "CHECKPOINT_TAKEN": "see `hypnogram checkpoint list`",
    "SLEEP_UNKNOWN": "see `hypnogram sleeps`",
    "SLEEP_IN_PROGRESS": "`hypnogram sleep --follow` shows it, `hypnogram sleep --cancel` rolls it back",
    "MODEL_UNAVAILABLE": "see `hypnogram model list`, or leave the model out to use dormouse",
    "SCHEMA_MISMATCH": "upgrade hypnogram, or name another database with --db",
    "FACT_RETRACTED": "name its successor, if it has one, or add it again with `hypnogram fact add`",
    "FACT_HELD": "retract it from that memory first, with --memory",
    "PARSER_UNAVAILABLE": "pip install 'hypnogram[conversation]', where the server runs",
    "UNAUTHENTICATED": "`hypnogram token create`, where the server's database is",
    "NOT_PERMITTED": "`hypnogram token list` shows what each token may",
    "VERSION_CONFLICT": "run the command again",
}


class UsageProblem(Exception):
    """Wrong usage of a command; the exit status is 2."""


def status_words(fact: facts_pb2.Fact, *, short: bool = False) -> str:
    """Returns the status of `fact` with its failure, if any; `short` cuts the failure for a table."""
    from hypnogram.v1 import facts_pb2

    status = facts_pb2.Status.Name(fact.status).removeprefix("STATUS_").lower()
    if fact.HasField("learned") and not fact.learned:
        status += ", not learned in all wordings"
    failure = fact.failure
    if short and len(failure) > REASON:
        failure = failure[: REASON - 1].rstrip() + "…"
    return status + (f": {failure}" if failure else "")


def fail(error: Exception, status: int) -> None:
    """Prints `error` and the next step in one line, and exits with `status`."""
    message = " ".join(str(error).split())
    if getattr(error, "code", "") == "UNAVAILABLE" and not getattr(error, "reason", ""):
        message = "no server responds there; start one with `hypnogram serve`, or name another with --address"
    step = NEXT_STEPS.get(getattr(error, "reason", ""), "")
    sys.stderr.write(f"hypnogram: {message}{f' ({step})' if step and step not in message else ''}\n")
    raise SystemExit(status)


def raise_if_parked(facts: Sequence[facts_pb2.Fact]) -> None:
    """Raises CallFailed with the first failure and the next step if any of `facts` is parked."""
    from hypnogram.v1 import facts_pb2

    parked = [fact for fact in facts if fact.status == facts_pb2.STATUS_PARKED]
    if parked:
        said = f"{len(parked)} of {len(facts)} facts are durable but parked: {parked[0].failure}"
        raise CallFailed("FAILED_PRECONDITION", f"{said} (try again with `hypnogram fact retry --all`)")


@contextmanager
def connected(address: str | None) -> Iterator[Client]:
    """A client of the server at `address`, or of the settings' server; waits while the server starts.

    Raises what `reached` raises.
    """
    from service.cli.options import settings
    from service.terminal.spinner import waiting

    chosen = settings()
    with new_client(chosen, address) as client:
        with waiting(f"the server at {client.address} to start"):
            reached(client, chosen, chosen.server_seconds)
        yield client


def reached(client: Client, settings: Settings, seconds: float) -> bool:
    """Returns whether the server responds within `seconds`.

    Raises CallFailed soon where the server speaks TLS and the settings do not ask for it, or the other way round, and
    where its certificate is not to be trusted, or it refuses that of the client.
    """
    if client.up(min(SOON, seconds)):
        return True
    _check_tls(settings, client.address)
    return client.up(max(seconds - SOON, 0))


def _check_tls(settings: Settings, address: str) -> None:
    """Raises CallFailed where calls to `address` cannot work because of TLS."""
    from service.terminal.tls_probe import speaks_tls, why_distrusted, why_refused

    spoken, authority = speaks_tls(address), settings.server_ca
    why = ""
    if spoken and authority is not None:
        shown = (settings.client_certificate, settings.client_key)
        why = why_distrusted(address, authority) or why_refused(address, authority, *shown)
    elif spoken:
        why = "speaks TLS; name the authority of its certificate with HYPNOGRAM_SERVER_CA"
    elif spoken is False and authority is not None:
        why = "does not speak TLS; leave out HYPNOGRAM_SERVER_CA, or start it with --tls-certificate and --tls-key"
    if why:
        raise CallFailed("FAILED_PRECONDITION", f"the server at {address} {why}")


def new_client(settings: Settings, address: str | None = None) -> Client:
    """Returns a client of the server at `address`, or of the settings' server, with the settings' token and TLS."""
    from hypnogram.client import Client

    token, credentials = settings.token.get_secret_value(), channel_credentials(settings)
    return Client(address or settings.address, actor="cli", token=token, credentials=credentials)


def channel_credentials(settings: Settings) -> ChannelCredentials | None:
    """Returns what calls use TLS with; None where the settings name no authority.

    Raises:
        UsageProblem: a file cannot be read, or a certificate stands without its key.
    """
    if settings.server_ca is None:
        if settings.client_certificate or settings.client_key:
            raise UsageProblem("HYPNOGRAM_CLIENT_CERTIFICATE needs TLS: name HYPNOGRAM_SERVER_CA as well")
        return None
    from grpc import ssl_channel_credentials

    if (settings.client_certificate is None) != (settings.client_key is None):
        raise UsageProblem("HYPNOGRAM_CLIENT_CERTIFICATE and HYPNOGRAM_CLIENT_KEY belong together: name both")
    files = (settings.server_ca, settings.client_key, settings.client_certificate)
    try:
        authority, key, certificate = (None if file is None else file.read_bytes() for file in files)
    except OSError as error:
        raise UsageProblem(f"{error.filename} cannot be read: {error.strerror}") from None
    return ssl_channel_credentials(authority, key, certificate)


def as_dict(message: Message) -> Any:
    """Converts a message to JSON values: field names as in the proto, defaults included, 64-bit numbers as numbers."""
    from google.protobuf import json_format

    values = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return _with_numbers(values, message)


def print_json(values: Any, *, one_line: bool = False) -> None:
    """Prints one JSON document on standard output."""
    text = json.dumps(values, ensure_ascii=False, indent=None if one_line else 2)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_text(text: str, end: str = "\n") -> None:
    sys.stdout.write(text + end)
    sys.stdout.flush()


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == "id")  # so that an id can be copied whole
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def print_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Prints names and values below each other; a value of several lines is indented as a whole."""
    listed = [(name, str(value)) for name, value in pairs]
    width = max(len(name) for name, _ in listed)
    for name, value in listed:
        print_text(f"{name:<{width}}  " + value.replace("\n", "\n" + " " * (width + 2)))


def _with_numbers(values: Any, message: Message) -> Any:
    """Turns 64-bit numbers back into numbers, because protobuf's JSON has them as texts."""
    for descriptor in message.DESCRIPTOR.fields:
        if descriptor.name not in values:
            continue
        value = values[descriptor.name]
        if descriptor.cpp_type in (descriptor.CPPTYPE_INT64, descriptor.CPPTYPE_UINT64):
            values[descriptor.name] = [int(item) for item in value] if isinstance(value, list) else int(value)
        elif descriptor.message_type and descriptor.message_type.full_name == "google.protobuf.Struct":
            values[descriptor.name] = _whole(value)
        elif descriptor.message_type and descriptor.message_type.file.package == "hypnogram.v1":
            nested = getattr(message, descriptor.name)
            if isinstance(value, list):
                values[descriptor.name] = [_with_numbers(*pair) for pair in zip(value, nested, strict=True)]
            else:
                values[descriptor.name] = _with_numbers(value, nested)
    return values


def _whole(value: Any) -> Any:
    """Turns whole numbers back into integers, because a Struct has floats alone."""
    if isinstance(value, dict):
        return {name: _whole(value[name]) for name in sorted(value)}  # a Struct comes in another order each time
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value

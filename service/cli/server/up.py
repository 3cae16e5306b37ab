"""`hypnogram up`: a server, a memory and a chat with it in one command, which stops what it started."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hypnogram.client import CallFailed
from service.cli import options
from service.cli.facts import chat
from service.cli.memories import memory as memories
from service.cli.output import UsageProblem, connected, new_client, print_text, reached
from service.terminal.spinner import waiting

if TYPE_CHECKING:
    from hypnogram.client import Client
    from service.settings import Settings

LOOK_SECONDS = 1.0  # for a server that is there to accept a connection
PATIENCE_SECONDS = 60.0  # with a server that stops, beyond the time that its calls and its executor get
LISTENING = "listening on "
EMBEDDED = "dormouse"
USUAL = "smollm2"  # what is proposed where it was pulled


def up(
    *,
    model: Annotated[
        str, typer.Option(help="Base model of a memory that is created: the name of a pulled one, or a path.")
    ] = "",
    http: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Address of the HTTP port of a server that is started (HYPNOGRAM_HTTP)."
        ),
    ] = None,
    remember: chat.RememberFacts = "",
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for a new memory to be prepared.")] = 3600.0,
    memory: options.MemoryName = None,
) -> None:
    """Start a server unless one runs, create a memory unless it is there, and chat. Leaving stops what was started."""
    settings = options.settings(http=http)
    name = options.memory_name(memory)
    with _stopping_at_once(), _server(settings) as address:
        with connected(address) as client:
            _ready(client, name, model, settings, timeout)
        chat.chat(memory=name, address=address, remember=remember)


@contextmanager
def _server(settings: Settings) -> Iterator[str]:
    """Yields the address of the server that runs there already, or of one that lasts as long as the block."""
    if _is_taken(settings):
        yield _found(settings)
        return
    log = _log_file()
    with log.open("w") as errors, _process(settings, errors) as process:
        assert process.stdout is not None
        with waiting("the server to start"):
            line = process.stdout.readline()
        if line.startswith(LISTENING):
            print_text(f"started a server on {line.removeprefix(LISTENING).strip()}; its log is {log}")
            if settings.http:
                print_text(process.stdout.readline().strip())
            yield line.removeprefix(LISTENING).strip()
        elif _is_taken(settings):  # by a server that started meanwhile
            yield _found(settings)
        else:
            said = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
            why = said[-1].removeprefix("hypnogram: ") if said else f"it ended with status {process.wait()}"
            raise UsageProblem(f"the server did not start: {why}")


@contextmanager
def _process(settings: Settings, errors: Any) -> Iterator[subprocess.Popen[str]]:
    """A server in a process and a session of its own, so that Ctrl-C reaches only this process; ends with the block."""
    command = [sys.executable, "-m", "service.cli.main", "serve"]
    if settings.http:
        command += ["--http", settings.http]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            with suppress(subprocess.TimeoutExpired), waiting("the server to stop"):
                process.wait(3 * settings.stop_seconds + PATIENCE_SECONDS)
        finally:  # also where the user does not wait
            process.kill()
            process.wait()


def _ready(client: Client, name: str, model: str, settings: Settings, timeout: float) -> None:
    """Returns once the memory is there and facts can be written to it."""
    try:
        base = client.memory(name).memory.base.name
    except CallFailed as error:
        if error.reason not in ("MEMORY_UNKNOWN", "MEMORY_DELETED"):
            raise
        chosen = _whole(model, _pulled(settings)) if model else _asked(name, settings)
        memories.create(name=name, model=chosen, wait=True, timeout=timeout, address=client.address)
    else:
        if model:
            sys.stderr.write(f"hypnogram: memory {name} is there already, on {base}; --model is for a new one\n")


def _asked(name: str, settings: Settings) -> str:
    """Returns the base model that the user names on a terminal; elsewhere an empty text, for the server's default."""
    if not sys.stdin.isatty():
        return ""
    names = _pulled(settings)
    proposed = USUAL if USUAL in names else EMBEDDED
    rows = "".join(f"  {known}\n" for known in names)
    rows += f"  {EMBEDDED} (included; a small model for experiments, and not an assistant)\n"
    if USUAL not in names:
        rows += f"`hypnogram model pull {USUAL}` fetches an assistant.\n"
    while True:
        sys.stderr.write(f"Memory {name} is not there yet. Base models for it:\n{rows}Base model [{proposed}]: ")
        sys.stderr.flush()
        if not (line := sys.stdin.readline()):
            raise UsageProblem("no memory was created; name its base model with --model")
        given = line.strip() or proposed
        whole = _whole(given, names)
        if whole in names or Path(whole).expanduser().exists():
            return whole
        sys.stderr.write(f"{given} is not one of them, nor the path of one.\n")


def _pulled(settings: Settings) -> list[str]:
    """Returns the names of pulled models."""
    from service.pulled.folder import ModelFolder

    return [record.name for record in ModelFolder(settings.model_folder).listed()]


def _whole(given: str, names: Sequence[str]) -> str:
    """Returns the path of dormouse, which is included, where `given` is its name; else `given`."""
    from service.settings import DORMOUSE

    return str(DORMOUSE) if given == EMBEDDED and EMBEDDED not in names else given


def _is_taken(settings: Settings) -> bool:
    """Whether a program listens at the settings' address; false of port 0, which is a free one."""
    if not settings.port:
        return False
    try:
        socket.create_connection((settings.host, settings.port), LOOK_SECONDS).close()
    except OSError:
        return False
    return True


def _found(settings: Settings) -> str:
    """Returns the settings' address, where a server responds.

    Raises UsageProblem where another program does, and what `reached` raises.
    """
    with new_client(settings) as client, waiting(f"the server at {settings.address} to respond"):
        if not reached(client, settings, settings.server_seconds or LOOK_SECONDS):
            raise UsageProblem(
                f"another program listens at {settings.address}, and speaks no gRPC; name another port: HYPNOGRAM_PORT"
            )
    print_text(f"a server runs on {settings.address} already; it is used, and goes on after the chat")
    return settings.address


def _log_file() -> Path:
    from service.settings import cache_home

    cache_home().mkdir(parents=True, exist_ok=True, mode=0o700)
    return cache_home() / "server.log"


@contextmanager
def _stopping_at_once() -> Iterator[None]:
    """Leaves the block on SIGTERM, and when the terminal closes, with the status that shells give such ends."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    handlers = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)

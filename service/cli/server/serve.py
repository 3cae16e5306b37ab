"""`hypnogram serve | executor | demo`."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import options
from service.cli.output import UsageProblem, print_text
from service.terminal.stopping import on_signals, stopped_by_signals

if TYPE_CHECKING:
    from service.rpc.server import Served
    from service.settings import Settings

LAST_SECONDS = 5.0  # for a stop, beyond the time that calls and the executor get

LogFormat = Annotated[
    str | None, typer.Option(help="Log format: auto, json or text; auto is text on a terminal (HYPNOGRAM_LOG_FORMAT).")
]
LogLevel = Annotated[
    str | None, typer.Option(help="Lowest level to log: debug, info, warning or error (HYPNOGRAM_LOG_LEVEL).")
]


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on (HYPNOGRAM_HOST).")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 picks a free one (HYPNOGRAM_PORT).")
    ] = None,
    http: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Address of the HTTP port, for OpenAI's clients, agents and browsers (HYPNOGRAM_HTTP).",
        ),
    ] = None,
    insecure_host: Annotated[
        bool | None,
        typer.Option(
            "--insecure-host",
            help="Allow a host that other machines reach, without authentication (HYPNOGRAM_INSECURE_HOST).",
        ),
    ] = None,
    require_tokens: Annotated[
        bool | None,
        typer.Option("--require-tokens", help="Ask for a token before one was created (HYPNOGRAM_REQUIRE_TOKENS)."),
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="Certificate chain of the server, PEM (HYPNOGRAM_TLS_CERTIFICATE).")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, PEM (HYPNOGRAM_TLS_KEY).")] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(help="Authorities of the certificates that clients must show, PEM (HYPNOGRAM_TLS_CLIENT_CA)."),
    ] = None,
    db: options.Database = None,
    artifacts: options.ArtifactFolder = None,
    snapshots: options.SnapshotFolder = None,
    model: Annotated[
        str | None, typer.Option(help="Base model of new memories that do not name one (HYPNOGRAM_MODEL_PATH).")
    ] = None,
    executor: Annotated[
        bool | None,
        typer.Option("--executor/--no-executor", help="Run an executor in this process (HYPNOGRAM_EXECUTOR)."),
    ] = None,
    device: options.Device = None,
    threads: options.Threads = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
) -> None:
    """Serve memories over gRPC, and over HTTP if asked to, until interrupted. Prints the addresses once it listens."""
    settings = options.settings(
        host=host,
        port=port,
        http=http,
        insecure_host=insecure_host,
        require_tokens=require_tokens,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        tls_client_ca=tls_client_ca,
        database_url=db,
        artifact_folder=artifacts,
        snapshot_folder=snapshots,
        model_path=model,
        executor=executor,
        device=device,
        torch_threads=threads,
        log_format=log_format,
        log_level=log_level,
    )
    import asyncio

    asyncio.run(_serve(settings))


def executor(
    *,
    ray: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Head of a Ray cluster to place executors on (HYPNOGRAM_RAY)."),
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(min=0, help="Executors to place there; 0 for one on each CPU or GPU (HYPNOGRAM_RAY_SLOTS)."),
    ] = None,
    db: options.Database = None,
    artifacts: options.ArtifactFolder = None,
    snapshots: options.SnapshotFolder = None,
    device: options.Device = None,
    threads: options.Threads = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
) -> None:
    """Write facts into the weights of all memories of a database, beside servers and other executors."""
    settings = options.settings(
        ray=ray,
        ray_slots=slots,
        database_url=db,
        artifact_folder=artifacts,
        snapshot_folder=snapshots,
        device=device,
        torch_threads=threads,
        log_format=log_format,
        log_level=log_level,
    )
    if settings.ray:
        _executors_on_ray(settings)
        return
    if slots:
        raise UsageProblem("--slots is for executors on Ray: name its head with --ray")
    from service.app.arenas import limit_arenas
    from service.app.store import open_store
    from service.app.supervision import run_on
    from service.executor.loop import Executor
    from service.log_setup import configure
    from service.tracing import tracing
    from service.weights.torch_setup import prepare_torch

    limit_arenas()
    configure(settings.log_format, settings.log_level)
    stop = threading.Event()
    with on_signals(stop.set), tracing(settings.traces), open_store(settings) as store:
        prepare_torch(settings)
        performer = Executor(store.log, store.artifacts, store.snapshots, settings)
        thread = threading.Thread(target=run_on, args=(performer, stop), name="executor", daemon=True)
        thread.start()
        stop.wait()
        thread.join(settings.stop_seconds)  # unfinished work is owed again after a restart


def demo(
    model: Annotated[
        str, typer.Option(help="smollm2 or dormouse. Default: smollm2 where it was pulled, else dormouse.")
    ] = "",
) -> None:
    """Show what a memory does: told, asked, killed, rebuilt. Takes minutes and leaves nothing behind."""
    from service.demo.story import STORIES, run

    if model and model not in STORIES:
        raise UsageProblem(f"--model {model}: it is {' or '.join(STORIES)}")
    with stopped_by_signals(lambda: typer.echo("stopped before its end", err=True)):
        run(model)


def _executors_on_ray(settings: Settings) -> None:
    from service.executor.on_ray.supervisor import run
    from service.log_setup import configure

    configure(settings.log_format, settings.log_level)
    stop = threading.Event()
    with on_signals(stop.set):
        run(settings, stop)


async def _serve(settings: Settings) -> None:
    import asyncio

    from service.rpc.tls import server_context

    server_context(settings)  # checks the files before seconds are spent on libraries

    from service.app.arenas import limit_arenas
    from service.app.progress import ProgressBoard
    from service.app.store import open_store
    from service.executor.loop import Executor
    from service.log_setup import configure
    from service.rpc.server import serve as serve_until
    from service.tracing import tracing
    from service.weights.live_models import LiveModels
    from service.weights.torch_setup import prepare_torch

    limit_arenas()
    configure(settings.log_format, settings.log_level)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def stopping() -> None:
        stop.set()
        parts = 3 if settings.http else 2  # that take so long at most, one after the other
        _end_after(parts * settings.stop_seconds + LAST_SECONDS)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping)
    with tracing(settings.traces), open_store(settings) as store:
        prepare_torch(settings)
        models = LiveModels(store.log, store.artifacts, store.snapshots, settings)
        executor, board = None, ProgressBoard()
        if settings.executor:
            executor = Executor(store.log, store.artifacts, store.snapshots, settings, models.bases, board)
        await serve_until(
            settings,
            store,
            models,
            executor=executor,
            board=board,
            stop=stop,
            beside=_http(settings),
            up=lambda addresses: print_text("\n".join(f"listening on {address}" for address in addresses)),
        )


def _http(settings: Settings) -> Callable[[Served], AbstractAsyncContextManager[str]]:
    """Returns what opens the HTTP port, if the settings ask for one. Raises UsageProblem without the extra `web`."""
    if not settings.http:
        return lambda served: nullcontext("")
    try:
        from service.web.server import listening
    except ModuleNotFoundError as error:
        raise UsageProblem(f"--http needs the package {error.name}: pip install 'hypnogram[web]'") from None
    return lambda served: listening(settings, served)


def _end_after(seconds: float) -> None:
    """Ends the process after `seconds` whatever still runs, because unfinished work is owed again after a restart."""
    timer = threading.Timer(seconds, os._exit, (1,))
    timer.daemon = True
    timer.start()

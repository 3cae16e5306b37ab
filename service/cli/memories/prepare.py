"""`hypnogram prepare`: the reference text of a base model, made ahead of any memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli import options
from service.cli.output import print_json, print_text


def prepare(
    *,
    name: Annotated[str, typer.Argument(metavar="MODEL", help="Name of a pulled model, or path of a model folder.")],
    to: Annotated[
        Path | None, typer.Option("--to", help="File to write. Default: reference.jsonl beside the weights.")
    ] = None,
    models: Annotated[
        Path | None, typer.Option("--models", help="Folder of pulled models (HYPNOGRAM_MODEL_FOLDER).")
    ] = None,
    artifacts: options.ArtifactFolder = None,
    device: options.Device = None,
    threads: options.Threads = None,
    json: options.AsJson = False,
) -> None:
    """Let a base model generate its reference text, whose answers edits must not change; needs no server."""
    from service.terminal.spinner import progress
    from service.weights.own_text import write_text
    from service.weights.torch_setup import prepare_torch

    settings = options.settings(model_folder=models, artifact_folder=artifacts, device=device, torch_threads=threads)
    with progress(json) as bar:
        bar(0, 0, "starting")
        prepare_torch(settings)
        path = write_text(settings, name, to, bar)
    lines = path.read_bytes().count(b"\n")
    if json:
        print_json({"file": str(path), "lines": lines})
    else:
        print_text(f"{path}: {lines} lines")

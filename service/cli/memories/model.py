"""`hypnogram model pull | list | show`: base models on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import options
from service.cli.output import print_json, print_pairs, print_table

if TYPE_CHECKING:
    from service.pulled.folder import ModelFolder

app = typer.Typer(help="Pull base models, list and show them.", no_args_is_help=True)

Folder = Annotated[Path | None, typer.Option("--models", help="Folder of pulled models (HYPNOGRAM_MODEL_FOLDER).")]


@app.command("pull")
def pull(
    *,
    name: Annotated[str, typer.Argument(help="smollm2, a Hugging Face id, or the path of a GGUF file.")],
    revision: Annotated[str, typer.Option(help="Revision of a Hugging Face repository. Default: the newest.")] = "",
    models: Folder = None,
    json: options.AsJson = False,
) -> None:
    """Fetch a base model to this machine, on which memories can then be created by its name."""
    from service.pulled import pull as pulling
    from service.terminal.spinner import progress

    folder = _folder(models)
    with progress(json) as bar:
        record = pulling.pull(folder, name, revision, bar=bar, quiet=json)
    _print(_row(folder, record), json)


@app.command("list")
def list_(models: Folder = None, json: options.AsJson = False) -> None:
    """List the base models on this machine that memories can be created on by name."""
    folder = _folder(models)
    rows = [_row(folder, record) for record in folder.listed()]
    if json:
        print_json(rows)
        return
    columns = ("name", "family", "size", "digest", "source", "revision")
    print_table("", columns, ((*(_short(name, row[name]) for name in columns),) for row in rows))


@app.command("show")
def show(
    *,
    name: Annotated[str, typer.Argument(help="Name of a pulled model, or path of a model folder.")],
    models: Folder = None,
    json: options.AsJson = False,
) -> None:
    """Show a base model: its family, its shape, its digest, and what a memory would edit in it."""
    from service.pulled.shape import shape_of

    folder = _folder(models)
    record = None if Path(name).expanduser().exists() else folder.find(name)
    shape = shape_of(Path(folder.resolve(name, "")[0]))
    _print((_row(folder, record) if record else {}) | shape, json)


def _folder(models: Path | None) -> ModelFolder:
    from service.pulled.folder import ModelFolder

    return ModelFolder(options.settings(model_folder=models).model_folder)


def _row(folder: ModelFolder, record: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(record) | {"folder": str(folder.place_of(record.name).absolute())}


def _print(row: dict[str, Any], json: bool) -> None:
    if json:
        print_json(row)
    else:
        print_pairs((name, _short(name, value)) for name, value in row.items() if value != "")


def _short(name: str, value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,} bytes" if name == "size" else f"{value:,}"
        case list():
            return ", ".join(map(str, value))
        case str() if name == "digest":
            return value[:16]
        case _:
            return str(value)

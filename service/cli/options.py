"""Options that several commands share, and the settings they change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.output import UsageProblem

if TYPE_CHECKING:
    from service.settings import Settings

Address = Annotated[
    str | None, typer.Option("--address", "-a", help="Server to call, host:port. Default: HYPNOGRAM_HOST and _PORT.")
]
MemoryName = Annotated[
    str | None, typer.Option("--memory", "-m", help="Memory to speak of. Default: HYPNOGRAM_MEMORY, or demo.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AtVersion = Annotated[int | None, typer.Option("--at-version", min=1, help="Answer for this version.")]
Database = Annotated[
    str | None, typer.Option("--db", help="Event log: sqlite:///path or postgresql://... (HYPNOGRAM_DATABASE_URL).")
]
ArtifactFolder = Annotated[
    Path | None, typer.Option("--artifacts", help="Folder of the artifacts (HYPNOGRAM_ARTIFACT_FOLDER).")
]
SnapshotFolder = Annotated[
    Path | None, typer.Option("--snapshots", help="Folder of the snapshots (HYPNOGRAM_SNAPSHOT_FOLDER).")
]
Device = Annotated[str | None, typer.Option("--device", help="Torch device: cpu, cuda, ... (HYPNOGRAM_DEVICE).")]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=0, help="Torch threads; 0 for torch's choice (HYPNOGRAM_TORCH_THREADS)."),
]


def settings(**given: Any) -> Settings:
    """The settings of the environment, changed by the flags that were given.

    Raises:
        UsageProblem: one of them makes no sense; names it.
    """
    from pydantic import ValidationError

    from service.settings import Settings

    flags = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**flags)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        raise UsageProblem(
            f"{name} (HYPNOGRAM_{name.upper()}): {first['msg'][0].lower()}{first['msg'][1:]}, not {first['input']!r}"
        ) from None


def memory_name(given: str | None) -> str:
    """The memory of the flag, or of the settings."""
    return given or settings().memory

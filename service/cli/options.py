"""Options that several commands share, and the settings that they override."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.output import UsageProblem

if TYPE_CHECKING:
    from core.moments import Moment
    from hypnogram.client import Client
    from service.settings import Settings

LAST_VERSION, LARGEST = 2**63 - 1, 2**31 - 1  # largest values of int64 and int32 fields

Address = Annotated[
    str | None, typer.Option("--address", "-a", help="Server to call, host:port. Default: HYPNOGRAM_HOST and _PORT.")
]
MemoryName = Annotated[
    str | None, typer.Option("--memory", "-m", help="Name of the memory. Default: HYPNOGRAM_MEMORY, or demo.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AtVersion = Annotated[
    int | None, typer.Option("--at-version", min=1, max=LAST_VERSION, help="Version to use. Default: the newest.")
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="MOMENT",
        help="Moment to use: a version, a checkpoint or a time, as in 12, monday, 2026-11-24T10:00 (UTC).",
    ),
]
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
    """Returns the settings of the environment and of the file, overridden by the flags that were given.

    Raises:
        UsageProblem: a value is invalid; names it, and the line of the file where it is one of the file's.
    """
    from pydantic import ValidationError

    from core.errors.base import ConfigurationInvalid
    from service.settings import Settings

    flags = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**flags)
    except ConfigurationInvalid as error:
        raise UsageProblem(str(error)) from None
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        raise UsageProblem(
            f"{name} (HYPNOGRAM_{name.upper()}): {first['msg'][0].lower()}{first['msg'][1:]}, not {first['input']!r}"
        ) from None


def is_there(settings: Settings) -> bool:
    """Whether the database exists; always true of PostgreSQL, because only connecting would show that."""
    scheme, _, path = settings.database_url.partition("///")
    return not scheme.startswith("sqlite") or os.path.exists(path)


def settings_there(**given: Any) -> Settings:
    """Returns the same as `settings`, for a command that reads and must not leave an empty database behind.

    Raises:
        UsageProblem: a value is invalid, or the database does not exist.
    """
    chosen = settings(**given)
    if not is_there(chosen):
        raise UsageProblem(f"no database at {Path(chosen.database_url.partition('///')[2])}; name one with --db")
    return chosen


def memory_name(given: str | None) -> str:
    """Returns the memory of the flag, or of the settings."""
    return given or settings().memory


def moment(at: str | None, at_version: int | None = None) -> Moment:
    """Returns the moment that one of the two flags names; None, which is now, where neither was given.

    Raises:
        UsageProblem: both were given, or the text is not a moment.
    """
    from core.errors.base import InvalidField
    from core.moments import parsed_moment

    if at is not None and at_version is not None:
        raise UsageProblem("--at and --at-version mean the same: give one of them")
    try:
        return at_version if at is None else parsed_moment(at)
    except InvalidField as error:
        raise UsageProblem(str(error)) from None


def version(client: Client, memory: str, at: str | None, at_version: int | None = None) -> int | None:
    """Returns the version of that moment; asks the server unless it is a version already."""
    wanted = moment(at, at_version)
    return wanted if wanted is None or isinstance(wanted, int) else client.find_version(memory, wanted).version

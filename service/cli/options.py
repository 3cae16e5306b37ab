"""Options that several commands share, and the settings they change."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.output import UsageProblem

if TYPE_CHECKING:
    from hypnogram.client import Client
    from service.app.moments import Moment
    from service.settings import Settings

DIGITS = 18  # of a version, at most: such a number fits into a message
LAST_VERSION, LARGEST = 2**63 - 1, 2**31 - 1  # that fields of messages hold: int64, int32

Address = Annotated[
    str | None, typer.Option("--address", "-a", help="Server to call, host:port. Default: HYPNOGRAM_HOST and _PORT.")
]
MemoryName = Annotated[
    str | None, typer.Option("--memory", "-m", help="Memory to speak of. Default: HYPNOGRAM_MEMORY, or demo.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AtVersion = Annotated[
    int | None, typer.Option("--at-version", min=1, max=LAST_VERSION, help="Answer for this version.")
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="MOMENT",
        help="When: a version, a checkpoint or a time, as in 12, monday, 2026-11-24T10:00 (UTC).",
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


def is_there(settings: Settings) -> bool:
    """Whether the database exists; of one behind a server only the server knows."""
    scheme, _, path = settings.database_url.partition("///")
    return not scheme.startswith("sqlite") or os.path.exists(path)


def settings_there(**given: Any) -> Settings:
    """The same as `settings`, for a command that reads: it shall not leave an empty database behind.

    Raises:
        UsageProblem: a setting makes no sense, or there is no such database.
    """
    found = settings(**given)
    if not is_there(found):
        raise UsageProblem(f"there is no database {Path(found.database_url.partition('///')[2])}; name one with --db")
    return found


def memory_name(given: str | None) -> str:
    """The memory of the flag, or of the settings."""
    return given or settings().memory


def moment(at: str | None, at_version: int | None = None) -> Moment:
    """The moment that one of the two flags names; None, which is now, where none was given.

    Raises:
        UsageProblem: both were given, or it cannot be a moment.
    """
    from core.errors.base import InvalidField

    if at is not None and at_version is not None:
        raise UsageProblem("--at and --at-version say the same: give one of them")
    try:
        return at_version if at is None else parsed_moment(at)
    except InvalidField as error:
        raise UsageProblem(str(error)) from None


def parsed_moment(text: str) -> Moment:
    """The moment that a person wrote: digits are a version, with a colon it is a time, anything else a checkpoint.

    Names of checkpoints are no numbers and hold no colons. A time without a zone is UTC, as the log prints it.

    Raises:
        InvalidField: it looks like a version or a time and cannot be one.
    """
    from core.errors.base import InvalidField

    if text.isdecimal():
        if len(text) > DIGITS:
            raise InvalidField("at", f"has {len(text)} digits, and no version has more than {DIGITS}")
        return int(text)
    if ":" not in text:
        return text
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter: of the years 1 to 9999 only where it was said
        raise InvalidField("at", f"{text!r} is no time; write it as in 2026-11-24T10:00") from None


def version(client: Client, memory: str, at: str | None, at_version: int | None = None) -> int | None:
    """The version of that moment, which the server is asked for unless it is one already."""
    wanted = moment(at, at_version)
    return wanted if wanted is None or isinstance(wanted, int) else client.find_version(memory, wanted).version

"""Keeps pulled base models: a folder each, with a `pulled.json` that records where it came from and its digest."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors.base import HypnogramError, ModelUnavailable

RECORD = "pulled.json"
PARTIAL = ".partial"  # the folder of unfinished pulls, beside the models


class PullFailed(HypnogramError):
    """A base model was not pulled; nothing of it is listed."""

    reason = "PULL_FAILED"


@dataclass(frozen=True, slots=True)
class Pulled:
    """A pulled base model.

    Attributes:
        name: the name by which `memory create --model` finds it.
        source: the package, the hub or the file that it came from.
        revision: the version of the package, the commit of the hub, or the SHA-256 of the file.
        digest: of its files, by `core.weights.model.base_files`.
        family: the family by `core.weights.model.families`.
        size: bytes of the files that the digest covers.
    """

    name: str
    source: str
    revision: str
    digest: str
    family: str
    size: int


class ModelFolder:
    """The folder of all pulled models. A model is in it whole, or not at all."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def place_of(self, name: str) -> Path:
        """Returns the folder of a model of that name, whether or not it was pulled."""
        return self.root / name.replace("/", "--")

    def find(self, name: str) -> Pulled | None:
        """Returns the record of a model; None where none of that name was pulled."""
        try:
            return Pulled(**json.loads((self.place_of(name) / RECORD).read_text())) if name else None
        except (OSError, ValueError, TypeError):
            return None

    def listed(self) -> list[Pulled]:
        """Returns the records of all pulled models in the order of their names."""
        records = (self.find(path.parent.name) for path in self.root.glob(f"*/{RECORD}"))
        return sorted((record for record in records if record), key=lambda record: record.name)

    def resolve(self, name: str, revision: str) -> tuple[str, str]:
        """Returns the name and revision by which the files are found: the path of a pulled model, or both unchanged.

        A path that exists comes before a pulled model of that name.

        Raises:
            ModelUnavailable: the model was pulled at another revision.
        """
        record = None if Path(name).expanduser().exists() else self.find(name)
        if record is None:
            return name, revision
        if revision and not record.revision.startswith(revision):
            raise ModelUnavailable(
                f"{name!r} was pulled at revision {record.revision!r}, not {revision!r}; remove "
                f"{str(self.place_of(name))!r} and pull it with --revision {revision}",
                model=name,
            )
        return str(self.place_of(name).absolute()), ""

    @contextmanager
    def unfinished(self, name: str) -> Iterator[Path]:
        """Yields the folder in which a pull of `name` is made, with what an interrupted pull left in it.

        Raises:
            PullFailed: another process pulls that model.
        """
        folder = self.root / PARTIAL / self.place_of(name).name
        folder.mkdir(parents=True, exist_ok=True)
        with (self.root / PARTIAL / f"{folder.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise PullFailed(f"another process pulls {name!r}; wait for it", model=name) from None
            yield folder

    def keep(self, files: Path, record: Pulled) -> None:
        """Moves the finished folder `files` to its place, with its record, in one step."""
        (files / RECORD).write_text(json.dumps(asdict(record), indent=1) + "\n")
        place = self.place_of(record.name)
        if place.exists():
            raise PullFailed(f"{str(place)!r} is there already and was not pulled; move it away", model=record.name)
        files.rename(place)
        shutil.rmtree(self.root / PARTIAL / place.name, ignore_errors=True)

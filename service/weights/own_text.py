"""Makes the reference text that a base model generates itself, once for all memories on it; resumes after a kill."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from core.errors.base import InvalidField
from core.events.memory import BaseModel
from core.ids import Digest
from core.weights.model import base_files
from core.weights.model.editable_model import EditableModel
from core.weights.model.profile import read_profile
from core.weights.reference.own_text import VERSION, generate, joined, parts_for
from core.weights.reference.words import words_digest
from service.app.store import artifacts_of
from service.settings import Settings
from service.weights.base_models import BaseModels
from service.weights.describe_base import base_of
from store.artifacts import Artifacts, write_atomically
from store.measured import Measured


def generated_text(
    model: EditableModel, base: BaseModel, artifacts: Artifacts, progress: Callable[[int, int], None]
) -> Digest:
    """Returns the artifact of the text that `model` generates; generates only what was not generated before.

    Each part is an artifact until the whole text is one, so that work that was killed goes on after the last part.

    Args:
        model: with the weights of `base`.
        progress: called with the steps done and in all; may raise.

    Raises:
        Unlearnable: the model generates nothing of use.
    """
    known = Measured(artifacts)
    if (whole := known.get(_key(base))) is not None:
        return whole[0]
    parts = parts_for(model)
    total, done = sum(part.limit for part in parts), 0
    rows = []
    for number, part in enumerate(parts):
        progress(done, total)
        kept = known.get(_key(base, number))
        if kept is None:
            rows.append(generate(model, part, lambda step, done=done: progress(done + step, total)))  # type: ignore[misc]
            known.put(_key(base, number), artifacts.put(json.dumps(rows[-1]).encode()))
        else:
            rows.append(json.loads(kept[1]))
        done += part.limit
    digest = artifacts.put(joined(rows))
    known.put(_key(base), digest)
    for number in range(len(parts)):
        known.remove(_key(base, number))
    return digest


def write_text(settings: Settings, name: str, to: Path | None, bar: Callable[[int, int, str], None]) -> Path:
    """Writes the text that a base model generates to a file and returns its path; no memory and no server is needed.

    Args:
        name: of a pulled model, or the path of a model folder.
        to: the file; by default beside the weights.
        bar: called with the steps done, in all, and what they do; may raise.

    Raises:
        ModelUnavailable: there is no such model, or it does not load.
        InvalidField: the file exists already, or its folder does not.
        Unlearnable: the model generates nothing of use.
    """
    bar(0, 0, "reading the base model")
    base, folder = base_of(settings, name, "", "", "")
    path = to or base_files.text_beside(folder) or folder / base_files.TEXTS[0]
    if path.exists():
        raise InvalidField("to", f"{str(path)!r} is there already; remove it, or name another file")
    if not path.parent.is_dir():
        raise InvalidField("to", f"{str(path.parent)!r} is not a folder; make it, or name another file")
    modules = read_profile(folder).modules or base_files.modules_in(folder)
    model, artifacts = BaseModels(settings.device).load(base, modules, folder), artifacts_of(settings)
    digest = generated_text(model, base, artifacts, lambda done, total: bar(done, total, "generating text"))
    try:
        write_atomically(path, artifacts.get(digest))
        path.chmod(0o644)  # because it lies beside a model, which servers of other users may read
    except OSError as error:
        raise InvalidField("to", f"{str(path)!r} cannot be written: {error.strerror}; name another file") from None
    return path


def _key(base: BaseModel, part: int | None = None) -> Digest:
    """Returns the key of the whole text or of a part, by all that it depends on."""
    inputs = ["own text", VERSION, words_digest(), base.digest, base.dtype, base.quantization, part]
    return Digest(hashlib.sha256(json.dumps(inputs).encode()).hexdigest())

"""Exports a memory as one portable file: its events up to a version, their data keys, and the artifacts they name.

    manifest.json       format, memory, version, digest of the weights; name, size and SHA-256 of every other member
    events.jsonl        canonical JSON, an event a line, oldest first; sealed words stay ciphertext
    keys.json           fact or conversation -> its data key in base64, or null where it was destroyed
    artifacts/DIGEST    every artifact that the events name, once

Equal memories make equal files (`store/archive/tar.py`), and an imported memory exports to the same file. An imported
event keeps its id, version, time, cause, schema and payload; its position and its place in the chain are new, and its
memory has the name that it is imported under. A fact that was erased before the export is erased in the archive, which
holds its words as ciphertext without a key. Every other fact has its key there, so that an archive is as private as the
database. A version whose weights need a fact that was erased since cannot be exported any more.

An archive of a fork holds its whole history under its name, including what it shares with its parent. Imported, it is
not a fork any more: all its events are its own, and its MemoryForked only records where it came from.

Event ids are unique in a database, and sealed words are bound to them. So an archive is imported into a database once;
a second import, under whatever name, is refused with `EventsTaken`. Fork a memory to have a copy beside the original.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO, Any

from core.errors.archive import ExportExists
from core.errors.base import Damaged, MemoryGone
from core.errors.history import WordsErased
from core.events import Event
from core.events.codec import canonical
from core.evolve import fold
from core.ids import Digest, FactId, MemoryId
from core.state.memory import NOTHING, Memory, needed
from store.archive.tar import CHUNK, Member, pack
from store.artifacts import Artifacts, sync_folder
from store.database.engine import reading
from store.database.schema import events
from store.log.ancestry import stitched
from store.log.event_log import EventLog
from store.log.hash_chain import wrong_columns
from store.log.rows import StoredRow, select_events, to_recorded
from store.log.verify import follow_artifacts

EVENTS, KEYS, ARTIFACTS = "events.jsonl", "keys.json", "artifacts/"
PAGE = 1000  # events read or written at once
AS_THEY_ARE = ("version", "recorded_at", "type", "schema", "fact")  # columns of an event and fields of its line
CAUSE = ("actor", "request", "causation", "correlation")
_ADVICE = "verify the log, and restore it from a backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """What an archive holds.

    Attributes:
        weights: digest of the weights; None where the statistics were not prepared yet.
        facts, erased: number of facts with words, and of those among them whose key was destroyed.
        size: of the file, in bytes.
    """

    memory: MemoryId
    version: int
    weights: Digest | None
    facts: int
    erased: int
    artifacts: int
    size: int


def export_archive(
    path: Path, log: EventLog, artifacts: Artifacts, memory: MemoryId, version: int | None = None
) -> Archived:
    """Writes `memory` as it was at `version`, by default the newest, into the new file `path`.

    Only its owner may read the file, which appears whole or not at all.

    Raises:
        ExportExists: `path` is there already.
        MemoryUnknown, VersionUnknown: there is no such memory, or it never had that version.
        MemoryGone: it was deleted before that version, or has been since.
        WordsErased: at that version it needs a fact that was erased since.
        Damaged, ArtifactMissing, ArtifactCorrupt: what is stored is not what was written.
    """
    wanted = log.existing_version(memory, version)
    if os.path.lexists(path):
        raise ExportExists(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=path.parent) as lines, new_file(path) as file:
        gathered = _Gathered(lines)
        for page in _pages(log, memory, wanted):
            gathered.add(page)
        if gathered.state.deleted or wanted <= log.begun(memory):
            raise MemoryGone(gathered.state.deleted or log.begun(memory))
        known = log.keyring.keys(gathered.facts)  # read last, so that a key destroyed meanwhile is not exported
        of_conversations = {conversation.key for conversation in gathered.state.conversations.values()}
        # without those of a deleted memory of that name, which a fork may share
        kept = gathered.state.facts.keys() | of_conversations
        keys = {fact: key if fact in kept else None for fact, key in known.items()}
        check_keys(gathered.state, keys)
        listed = gathered.members(keys, artifacts)
        about = {"memory": memory, "version": wanted, "weights": gathered.state.weights}
        pack(file, about, [member for member, _ in listed], (content for _, content in listed))
        return Archived(
            memory=memory,
            version=wanted,
            weights=gathered.state.weights,
            facts=len(keys.keys() - of_conversations),
            erased=sum(key is None for fact, key in keys.items() if fact not in of_conversations),
            artifacts=len(gathered.artifacts),
            size=file.tell(),
        )


def check_keys(state: Memory, keys: Mapping[FactId, bytes | None]) -> None:
    """Raises WordsErased where a memory in that state needs words whose key is not among `keys`."""
    for fact in needed(state):
        if keys.get(fact) is None:
            raise WordsErased(fact)


class _Gathered:
    """Gathers what an archive holds: the lines of its events, in a file, and the facts and artifacts they name."""

    def __init__(self, lines: IO[bytes]) -> None:
        self.state = NOTHING
        self.facts: dict[FactId, None] = {}
        self.artifacts: set[Digest] = set()
        self._lines = lines
        self._digest = hashlib.sha256()

    def add(self, page: Sequence[StoredRow]) -> None:
        """Adds the next events; raises Damaged for a row that is not as it was written."""
        read: list[Event] = []
        for row in page:
            values = row._asdict()
            if wrong := wrong_columns(values, str(row.previous_hash)):
                raise Damaged(f"event {values['position']}: {', '.join(wrong)}: is not as it was written; {_ADVICE}")
            read.append(to_recorded(row).event)
            follow_artifacts(self.artifacts, read[-1])
            if values["sealed"] is not None:
                self.facts[values["fact"]] = None
            line = (_to_line(values) + "\n").encode()
            self._digest.update(line)
            self._lines.write(line)
        self.state = fold(read, onto=self.state)

    def members(self, keys: dict[FactId, bytes | None], artifacts: Artifacts) -> list[tuple[Member, Iterable[bytes]]]:
        """Returns the members in their order, each with its content."""
        opened = canonical({fact: key and base64.b64encode(key).decode() for fact, key in keys.items()}).encode()
        made: list[tuple[Member, Iterable[bytes]]] = [
            (Member(name=EVENTS, sha256=self._digest.hexdigest(), size=self._lines.tell()), _content(self._lines)),
            (Member(name=KEYS, sha256=hashlib.sha256(opened).hexdigest(), size=len(opened)), (opened,)),
        ]
        for digest in sorted(self.artifacts):
            size = len(artifacts.get(digest))  # read, so that a missing artifact is found before anything is written
            made.append((Member(name=ARTIFACTS + digest, sha256=digest, size=size), _artifact(artifacts, digest)))
        return made


def _to_line(values: Mapping[str, Any]) -> str:
    """Returns the line of an event, from the columns of its row."""
    payload, sealed = json.loads(values["payload"]), values["sealed"]
    if canonical(payload) != values["payload"]:
        raise Damaged(f"event {values['position']}: payload: is not canonical JSON; {_ADVICE}")
    return canonical(
        {name: values[name] for name in AS_THEY_ARE}
        | {
            "id": values["event_id"],
            "cause": {name: values[name] for name in CAUSE},
            "payload": payload,
            "sealed": sealed and base64.b64encode(sealed).decode(),
        }
    )


def _pages(log: EventLog, memory: MemoryId, version: int) -> Iterator[list[StoredRow]]:
    """Yields the rows of the events up to `version`, in order."""
    after = 0
    while after < version:
        query = select_events().where(stitched(log.ancestry(memory), after, min(after + PAGE, version)))
        with reading(log.engine).connect() as connection:
            page = [StoredRow._make(row) for row in connection.execute(query.order_by(events.c.version))]
        if [row.version for row in page] != list(range(after + 1, after + len(page) + 1)) or not page:
            raise Damaged(f"an event of memory {memory!r} after version {after} is missing; {_ADVICE}")
        yield page
        after += len(page)


def _content(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(CHUNK):
        yield chunk


def _artifact(artifacts: Artifacts, digest: Digest) -> Iterator[bytes]:
    yield artifacts.get(digest)


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file beside `path` that becomes `path` once the block ends without an error, and is removed otherwise."""
    file = NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False)  # noqa: SIM115
    made = Path(file.name)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(made, path)
        except OSError as error:
            if os.path.lexists(path):  # another process was faster
                raise ExportExists(path) from error
            made.rename(path)  # a file system without links
        sync_folder(path.parent)
    finally:
        made.unlink(missing_ok=True)

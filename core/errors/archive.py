"""Errors of exporting and importing memories.

    Refused
    |-- ExportExists             a file or folder of that name exists; an export replaces nothing
    |-- NotExportable            the form asked for cannot hold the memory neurons of the version; names one that can
    |-- ArchiveTooNew            the archive has a format that this version does not know
    |-- MemoryTaken              the name under which an archive was to be imported is taken
    |-- EventsTaken              the database already holds an event of the archive
    `-- FactTaken                the database erased a fact of the archive, or holds it under another key
    Damaged
    `-- ArchiveDamaged           the archive is not as it was written; names the member

See `core/errors/` for the rest of the tree.
"""

from __future__ import annotations

from core.errors.base import Damaged, Refused


class ExportExists(Refused):
    reason = "EXPORT_EXISTS"

    def __init__(self, path: object) -> None:
        super().__init__(
            f"{str(path)!r} exists already and an export replaces nothing: choose another name, or remove it",
            path=path,
        )


class NotExportable(Refused):
    reason = "NOT_EXPORTABLE"

    def __init__(self, kind: str, neurons: int, problem: str) -> None:
        super().__init__(
            f"the version has {neurons} memory neurons, which a {kind} cannot hold: {problem}",
            kind=kind,
            neurons=neurons,
            problem=problem,
        )


class ArchiveTooNew(Refused):
    reason = "ARCHIVE_TOO_NEW"

    def __init__(self, path: object, format_: object, known: int) -> None:
        super().__init__(
            f"archive {str(path)!r} has format {format_}, this version reads up to format {known}: upgrade hypnogram",
            path=path,
            found=format_,
            known=known,
        )


class MemoryTaken(Refused):
    reason = "MEMORY_TAKEN"

    def __init__(self, memory: str) -> None:
        super().__init__(f"there is a memory {memory!r} already; choose another name", memory=memory)


class EventsTaken(Refused):
    reason = "EVENTS_TAKEN"

    def __init__(self, event: str, memory: str) -> None:
        super().__init__(
            f"event {event} of the archive is in this database already, in memory {memory!r}; fork that memory to have "
            "a copy of it here, or import the archive into another database",
            event=event,
            memory=memory,
        )


class FactTaken(Refused):
    reason = "FACT_TAKEN"

    def __init__(self, fact: str, why: str) -> None:
        super().__init__(
            f"fact {fact} of the archive {why} in this database; import the archive into another database", fact=fact
        )


class ArchiveDamaged(Damaged):
    reason = "ARCHIVE_DAMAGED"

    def __init__(self, member: str, problem: str) -> None:
        super().__init__(
            f"archive member {member}: {problem}; get the archive again from where it was made",
            member=member,
            problem=problem,
        )
        self.member = member

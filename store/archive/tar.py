"""The format of archives: an uncompressed tar (POSIX ustar) in which the members determine every byte.

    manifest.json, then the members it lists, in its order

Headers hold a name and a size and nothing of the machine they were written on, so that equal members make equal files.
A reader compares each header with the one it expects. So no bit can change unnoticed: each belongs to a header, to
padding, to a member whose digest is in the manifest, or to the manifest, which holds its own digest.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from core.errors.archive import ArchiveDamaged, ArchiveTooNew
from core.events.codec import canonical

FORMAT = 1
BACKUP = "backup"  # the `kind` in the manifest of a whole database; that of one memory has none
MANIFEST = "manifest.json"
BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)
CHUNK = 1 << 20
MOST = 1 << 28  # bytes of a manifest, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file in the archive, with the SHA-256 of its content and its size in bytes."""

    name: str
    sha256: str
    size: int


def pack(
    file: IO[bytes], about: Mapping[str, Any], members: Sequence[Member], contents: Iterable[Iterable[bytes]]
) -> None:
    """Writes an archive: a manifest that holds `about` and lists `members`, then their contents in their order."""
    listed = [{"name": member.name, "sha256": member.sha256, "size": member.size} for member in members]
    manifest = {**about, "format": FORMAT, "members": listed}
    data = canonical({**manifest, "digest": _digest(manifest)}).encode()
    file.write(_header(MANIFEST, len(data)) + data + _padding(len(data)))
    for member, content in zip(members, contents, strict=True):
        file.write(_header(member.name, member.size))
        for chunk in content:
            file.write(chunk)
        file.write(_padding(member.size))
    file.write(END)


@dataclass(frozen=True, slots=True)
class Unpacked:
    """An archive that was read whole and is as it was written.

    Attributes:
        offsets: of the content of each member in the file, in bytes.
    """

    file: IO[bytes]
    manifest: Mapping[str, Any]
    members: Mapping[str, Member]
    offsets: Mapping[str, int]

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yields the content of a member in chunks."""
        self.file.seek(self.offsets[name])
        left = self.members[name].size
        while left:
            chunk = self.file.read(min(CHUNK, left))
            if not chunk:
                raise ArchiveDamaged(name, "ends early")
            left -= len(chunk)
            yield chunk

    def lines(self, name: str) -> Iterator[str]:
        """Yields the lines of a member, each without its end."""
        rest = b""
        for chunk in self.chunks(name):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line.decode() for line in whole)
        if rest:
            yield rest.decode()


def unpack(file: IO[bytes], path: object) -> Unpacked:
    """Reads the archive `file`, which is at `path`, and verifies every byte of it.

    Raises:
        ArchiveTooNew: it has a later format.
        ArchiveDamaged: it is not an archive, was altered, or ends early.
    """
    manifest = _manifest(file, path)
    try:
        members = [
            Member(name=str(listed["name"]), sha256=listed["sha256"], size=int(listed["size"]))
            for listed in manifest["members"]
        ]
    except (KeyError, TypeError, ValueError):
        raise ArchiveDamaged(MANIFEST, "does not list the members") from None
    offsets: dict[str, int] = {}
    for member in members:
        if _exactly(file, BLOCK, member.name) != _header(member.name, member.size):
            raise ArchiveDamaged(member.name, "its header is not as it was written")
        offsets[member.name] = file.tell()
        actual, left = hashlib.sha256(), member.size
        while left:
            chunk = _exactly(file, min(CHUNK, left), member.name)
            actual.update(chunk)
            left -= len(chunk)
        if actual.hexdigest() != member.sha256:
            raise ArchiveDamaged(member.name, "its content is not as it was written")
        _skip_padding(file, member.size, member.name)
    if file.read(len(END) + 1) != END:
        raise ArchiveDamaged("end", "the archive does not end as it was written")
    return Unpacked(file, manifest, {member.name: member for member in members}, offsets)


def _manifest(file: IO[bytes], path: object) -> dict[str, Any]:
    header = _exactly(file, BLOCK, MANIFEST)
    try:
        size = tarfile.TarInfo.frombuf(header, "ascii", "strict").size
    except (tarfile.HeaderError, ValueError):
        raise ArchiveDamaged(MANIFEST, "the file does not begin like an archive") from None
    if size > MOST or header != _header(MANIFEST, size):
        raise ArchiveDamaged(MANIFEST, "the file does not begin like an archive")
    data = _exactly(file, size, MANIFEST)
    _skip_padding(file, size, MANIFEST)
    try:
        manifest = json.loads(data)
        format_ = manifest["format"]
        if isinstance(format_, int) and format_ > FORMAT:
            raise ArchiveTooNew(path, format_, FORMAT)
        digest = manifest.pop("digest")
        sound = format_ == FORMAT and digest == _digest(manifest)
        sound = sound and data == canonical({**manifest, "digest": digest}).encode()
    except (ValueError, KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise ArchiveDamaged(MANIFEST, "its content is not as it was written")
    return dict(manifest)


def _digest(manifest: Mapping[str, Any]) -> str:
    """Returns the digest of a manifest that holds none."""
    return hashlib.sha256(canonical(dict(manifest)).encode()).hexdigest()


def _header(name: str, size: int) -> bytes:
    try:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o600
        return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
    except ValueError:
        raise ArchiveDamaged(name, f"{size} bytes under that name are more than a tar holds") from None


def _padding(size: int) -> bytes:
    return bytes(-size % BLOCK)


def _exactly(file: IO[bytes], size: int, member: str) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise ArchiveDamaged(member, "the archive ends before the end of it")
    return data


def _skip_padding(file: IO[bytes], size: int, member: str) -> None:
    if any(_exactly(file, -size % BLOCK, member)):
        raise ArchiveDamaged(member, "the padding after it is not as it was written")

"""A folder that is written for one visitor, sent as one file, and removed whatever happens."""

from __future__ import annotations

import asyncio
import shutil
import tarfile
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.rpc.interceptor import Attempt
from service.web.calls import end_failed

PREFIX = "hypnogram-export-"  # of the folders, in the place that TMPDIR names
BEGUN = "hypnogram-export"  # cookie by which the page sees that a file has begun to arrive
BEGUN_SECONDS = 60
CHUNK = 1 << 20
END = bytes(2 * tarfile.BLOCKSIZE)  # of a tar

Write = Callable[[Path, Callable[[], bool]], None]  # into a new folder; asks whether it was cancelled


class Download:
    """Files that are written into a folder `name`, which the returned tar has at its top.

    A thread writes them, as soon as those in `threads` allow. The folder is removed by `close`, or with this object; a
    thread that still writes removes it at its end.
    """

    def __init__(self, name: str, write: Write, threads: ThreadPoolExecutor) -> None:
        self.name = name
        scratch, unwanted = Path(mkdtemp(prefix=PREFIX)), threading.Event()
        self._folder = scratch / name
        self._writing = threads.submit(write, self._folder, unwanted.is_set)
        self.close = weakref.finalize(self, _remove, scratch, unwanted, self._writing)

    async def written(self) -> None:
        """Returns once the files are there. Raises what writing them raises."""
        await asyncio.wrap_future(self._writing)

    @property
    def size(self) -> int:
        """Size of the tar in bytes."""
        padded = (path.stat().st_size + len(_padding(path)) for path in self._files())
        return sum(padded) + sum(len(self._header(path)) for path in self._files()) + len(END)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yields the tar."""
        for path in self._files():
            yield self._header(path)
            with path.open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, CHUNK):
                    yield chunk
            yield _padding(path)
        yield END

    def _files(self) -> list[Path]:
        return sorted(self._folder.iterdir())

    def _header(self, path: Path) -> bytes:
        info, written = tarfile.TarInfo(f"{self.name}/{path.name}"), path.stat()
        info.size, info.mtime = written.st_size, int(written.st_mtime)
        return info.tobuf(tarfile.PAX_FORMAT)  # for any size


class Sent(StreamingResponse):
    """The response that sends a download and then removes it, also where the client goes."""

    def __init__(self, download: Download, attempt: Attempt) -> None:
        super().__init__(
            _allowed(download, attempt),
            media_type="application/x-tar",
            headers={
                "content-disposition": f'attachment; filename="{download.name}.tar"',
                "content-length": str(download.size),
                "cache-control": "no-store",
                "x-content-type-options": "nosniff",
            },
        )
        self._download = download
        self._attempt = attempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except _CutShort:
            pass  # the server closes a connection whose response is not complete
        finally:
            self._download.close()
            if not self._attempt.ended:
                self._attempt.end(asyncio.CancelledError())


class _CutShort(Exception):
    """The rest of a response is not sent, which the client sees by its length."""


async def _allowed(download: Download, attempt: Attempt) -> AsyncIterator[bytes]:
    """Yields the chunks of a download while its visitor is let in."""
    try:
        async for chunk in download.chunks():
            await attempt.still_allowed()
            yield chunk
    except Exception as error:
        end_failed(attempt, error)
        raise _CutShort from error
    attempt.end()


def _padding(path: Path) -> bytes:
    return bytes(-path.stat().st_size % tarfile.BLOCKSIZE)


def _remove(scratch: Path, unwanted: threading.Event, writing: Future[None]) -> None:
    """Removes a folder, now or as soon as it is not written to any more."""
    unwanted.set()
    writing.cancel()  # where it has not begun
    writing.add_done_callback(lambda _: shutil.rmtree(scratch, ignore_errors=True))

"""Stores artifacts as objects on S3-compatible storage, by obstore (the extra `s3`).

Which account and which server is taken from AWS's own variables: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION,
AWS_ENDPOINT_URL. Nothing is asked before the first artifact, so that a server starts while the storage is away.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from core.errors.base import ArtifactsUnreachable, InvalidField

SCHEME = "s3"
RETRIES = 2  # of a request that failed; work and calls that wait for artifacts are repeated anyway
RETRY_TIME = timedelta(seconds=10)
CONNECT_SECONDS, REQUEST_SECONDS = 5, 60


class ObjectStorage:
    """The objects below a URL, as s3://bucket/prefix. Every method may raise ArtifactsUnreachable."""

    def __init__(self, url: str) -> None:
        """Raises InvalidField: the URL names no bucket, or the extra `s3` is not installed."""
        parts = urlsplit(url)
        if parts.scheme != SCHEME or not parts.netloc or parts.query or parts.fragment or parts.username:
            raise InvalidField("artifact_url", f"{url!r} is not a place for artifacts; write s3://BUCKET/PREFIX")
        try:
            from obstore.store import S3Store
        except ModuleNotFoundError:
            raise InvalidField("artifact_url", "needs the package obstore: pip install 'hypnogram[s3]'") from None
        self._url = url
        timeouts: Any = {"connect_timeout": f"{CONNECT_SECONDS} s", "timeout": f"{REQUEST_SECONDS} s"}
        with self._reached():
            self._store = S3Store(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                client_options=timeouts | {"allow_http": True},  # as AWS_ENDPOINT_URL says
                retry_config={"max_retries": RETRIES, "retry_timeout": RETRY_TIME},
            )

    def write(self, name: str, data: bytes) -> None:
        with self._reached():
            self._store.put(name, data)

    def read(self, name: str) -> bytes:
        with self._reached():
            return bytes(self._store.get(name).bytes())

    def remove(self, name: str) -> None:
        try:
            with self._reached():
                self._store.delete(name)
        except FileNotFoundError:
            return

    def has(self, name: str) -> bool:
        try:
            with self._reached():
                self._store.head(name)
        except FileNotFoundError:
            return False
        return True

    def names(self) -> list[str]:
        with self._reached():
            return [str(found["path"]) for page in self._store.list() for found in page]

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Raises FileNotFoundError of an object that is not there, and ArtifactsUnreachable of any other failure."""
        from obstore.exceptions import BaseError, NotFoundError

        try:
            yield
        except (NotFoundError, FileNotFoundError) as error:
            if "NoSuchBucket" in str(error):
                raise ArtifactsUnreachable(self._url, "there is no such bucket") from None
            raise FileNotFoundError from None
        except (BaseError, OSError) as error:
            raise ArtifactsUnreachable(self._url, _why(error)) from None


def _why(error: BaseException) -> str:
    """Returns the first line of an error, which says what failed; those below repeat it for programmers."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__

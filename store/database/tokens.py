"""Tokens that let clients in. The database has their hashes alone."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import Engine, Row, insert, select, update

from store.database.engine import reading
from store.database.schema import tokens

PREFIX = "hyp"
ID_BYTES, SECRET_BYTES = 6, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token without its secret; times are Unix times, None for never.

    Attributes:
        actor: who acts in the events that its calls append.
        memory: name of a memory; with a star at its end, of all that begin so.
        may: "read", "write" or "admin"; each includes the rights before it.
    """

    id: str
    actor: str
    memory: str
    may: str
    created: float
    expires: float | None
    revoked: float | None

    def valid(self) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or time.time() < self.expires)


class Tokens:
    """The tokens of one database; see `EventLog.engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, *, actor: str, memory: str, may: str, seconds: float | None = None) -> tuple[Token, str]:
        """Returns a new token and its text, which is stored nowhere; it lasts for `seconds`, or until it is revoked."""
        id, now = secrets.token_hex(ID_BYTES), time.time()
        secret = f"{PREFIX}_{id}_{secrets.token_urlsafe(SECRET_BYTES)}"
        expires = None if seconds is None else now + seconds
        token = Token(id=id, actor=actor or id, memory=memory, may=may, created=now, expires=expires, revoked=None)
        values = {field: getattr(token, field) for field in token.__slots__}
        with self._engine.begin() as connection:
            connection.execute(insert(tokens).values(**values, hash=_hash(secret)))
        return token, secret

    def all(self) -> list[Token]:
        """Returns every token, the oldest first, revoked and expired ones included."""
        with reading(self._engine).connect() as connection:
            return [_token(row) for row in connection.execute(select(tokens).order_by(tokens.c.created))]

    def any(self) -> bool:
        """Returns whether a token was ever created, so that revoking the last one does not open the door."""
        with reading(self._engine).connect() as connection:
            return connection.execute(select(tokens.c.id).limit(1)).first() is not None

    def find(self, text: str) -> Token | None:
        """Returns the token of that text; None where there is none, or it is revoked or has expired."""
        id = text.split("_")[1] if text.count("_") >= 2 else ""
        with reading(self._engine).connect() as connection:
            row = connection.execute(select(tokens).where(tokens.c.id == id)).first()
        if row is None or not secrets.compare_digest(row.hash, _hash(text)):
            return None
        token = _token(row)
        return token if token.valid() else None

    def revoke(self, id: str) -> Token | None:
        """Revokes a token for good and returns it; None where there is none of that id."""
        with self._engine.begin() as connection:
            still = tokens.c.id == id, tokens.c.revoked.is_(None)
            connection.execute(update(tokens).where(*still).values(revoked=time.time()))
            row = connection.execute(select(tokens).where(tokens.c.id == id)).first()
        return None if row is None else _token(row)


def _hash(text: str) -> str:
    """Returns the hash of a token; a fast one will do because its secret is random and 256 bits long."""
    return hashlib.sha256(text.encode()).hexdigest()


def _token(row: Row[tuple[object, ...]]) -> Token:
    values = dict(row._mapping)
    del values["hash"]
    return Token(**values)

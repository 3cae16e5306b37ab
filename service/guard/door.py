"""The door that every call comes in by, over gRPC and HTTP alike."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from core.errors.access import Unauthenticated
from service.guard.limits import Limits
from service.guard.rights import Caller
from store.database.tokens import Tokens

Observer = Callable[[str, str, float], None]

SCHEME = "bearer"
LOOK_SECONDS = 1.0  # between looks for the first token


class Door:
    """Lets callers in by their tokens, as far as limits allow.

    Tokens are asked for where `required` says so, and where a token was ever created. They are looked up at each call,
    so that a revoked one ends at once.

    Attributes:
        observers: told of each call that ended: its name, how it ended, and after how many seconds.
        closing: whether the server stops, so that calls which are cancelled are not cancelled by their clients.
    """

    def __init__(self, tokens: Tokens, limits: Limits, *, required: bool) -> None:
        self.limits = limits
        self.observers: list[Observer] = []
        self.closing = False
        self._tokens = tokens
        self._required = required
        self._looked = -LOOK_SECONDS

    async def required(self) -> bool:
        """Returns whether callers need a token."""
        if not self._required and time.monotonic() - self._looked >= LOOK_SECONDS:
            self._required = await asyncio.to_thread(self._tokens.any)
            self._looked = time.monotonic()
        return self._required

    async def admit(self, authorization: str, address: str) -> Caller:
        """Returns the caller with the rights of its token.

        Args:
            authorization: what it sent under that name; empty where it sent nothing.
            address: from where it calls.

        Raises:
            Unauthenticated: its token is missing or not valid.
            TooManyCalls: it calls too often.
        """
        if not await self.required():
            self.limits.calls.use(address, 1)
            return Caller(address)
        try:
            caller = await self.recognized(authorization)
        except Unauthenticated:
            self.limits.calls.use(address, 1)
            raise
        self.limits.calls.use(caller.client, 1)
        return caller

    async def recognized(self, authorization: str) -> Caller:
        """Returns the caller with that token, counting no call. Raises Unauthenticated."""
        scheme, _, text = authorization.strip().partition(" ")
        if scheme.lower() != SCHEME or not text:
            raise Unauthenticated(
                "this server asks for a token: send it as 'authorization: Bearer TOKEN', or set HYPNOGRAM_TOKEN for "
                "commands"
            )
        token = await asyncio.to_thread(self._tokens.find, text.strip())
        if token is None:
            raise Unauthenticated(
                "the token is unknown, expired or revoked; create another with `hypnogram token create`"
            )
        return Caller(token.id, token)

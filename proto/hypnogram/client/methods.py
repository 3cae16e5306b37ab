"""Makes methods of both clients out of one coroutine function or asynchronous generator function.

`Method(function)` as a class attribute is a method that returns the result on a client with a `Blocking` connection,
and a coroutine on a client with an `Asyncio` connection. Type checkers see the parameters of `function` without the
first, the connection.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from hypnogram.client.connections import Asyncio, Blocking, Connection

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=Blocking | Asyncio)


class Caller(Generic[C]):
    """An object whose methods are calls on its connection."""

    def __init__(self, connection: C) -> None:
        self._connection = connection


class Method(Generic[P, R]):
    """A call with one result."""

    def __init__(self, function: Callable[Concatenate[Connection, P], Coroutine[Any, Any, R]]) -> None:
        self.function = function

    @overload
    def __get__(self, caller: None, owner: type) -> Self: ...
    @overload
    def __get__(self, caller: Caller[Blocking], owner: type) -> Callable[P, R]: ...
    @overload
    def __get__(self, caller: Caller[Asyncio], owner: type) -> Callable[P, Coroutine[Any, Any, R]]: ...
    def __get__(self, caller: Caller[Any] | None, owner: type) -> Any:
        return self if caller is None else _bound(self.function, caller._connection, caller._connection.run)


class Items(Generic[P, R]):
    """A call with many results: a generator on a blocking client, an asynchronous generator on the other."""

    def __init__(self, function: Callable[Concatenate[Connection, P], AsyncGenerator[R, None]]) -> None:
        self.function = function

    @overload
    def __get__(self, caller: None, owner: type) -> Self: ...
    @overload
    def __get__(self, caller: Caller[Blocking], owner: type) -> Callable[P, Generator[R, None, None]]: ...
    @overload
    def __get__(self, caller: Caller[Asyncio], owner: type) -> Callable[P, AsyncGenerator[R, None]]: ...
    def __get__(self, caller: Caller[Any] | None, owner: type) -> Any:
        return self if caller is None else _bound(self.function, caller._connection, caller._connection.iterate)


def _bound(function: Callable[..., Any], connection: Connection, perform: Callable[[Any], Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def method(*arguments: Any, **named: Any) -> Any:
        return perform(function(connection, *arguments, **named))

    method.__dict__["__signature__"] = _without_connection(function)
    return method


@functools.cache
def _without_connection(function: Callable[..., Any]) -> inspect.Signature:
    signature = inspect.signature(function)
    return signature.replace(parameters=list(signature.parameters.values())[1:])

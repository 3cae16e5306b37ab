"""Generates for many requests on one base model at once, in a thread that lives while there are any."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

from core.weights.batching.batch import Batch, Choice, Row
from core.weights.batching.mixed import Mixed, RowWeights
from core.weights.model.editable_model import EditableModel


@dataclass(slots=True, eq=False)
class _Request:
    """What is to be generated, and what was: `tokens` ends with None, or with why it ends.

    Attributes:
        unwanted: whether nothing more is to be generated.
    """

    prompt: Sequence[int]
    left: int
    weights: RowWeights
    choose: Choice
    tokens: SimpleQueue[int | BaseException | None] = field(default_factory=SimpleQueue)
    unwanted: bool = False


class Batched:
    """Generates on one base model; requests that come while others are generated join at the next token."""

    def __init__(self, model: EditableModel) -> None:
        """Uses a clone of `model`."""
        self._mixed = Mixed(model)
        self._ends = set(model.end_tokens())
        self._waiting: list[_Request] = []
        self._lock = threading.Lock()
        self._working = False

    def tokens(
        self, prompt: Sequence[int], limit: int, weights: RowWeights, choose: Choice
    ) -> Generator[int, None, None]:
        """Yields up to `limit` tokens, or up to the first that ends a turn; generation ends when the caller stops."""
        if limit <= 0:
            return
        request = _Request(prompt, limit, weights, choose)
        self._begin(request)
        try:
            while (token := request.tokens.get()) is not None:
                if isinstance(token, BaseException):
                    raise token
                yield token
        finally:
            request.unwanted = True

    def _begin(self, request: _Request) -> None:
        with self._lock:
            self._waiting.append(request)
            if not self._working:
                self._working = True
                threading.Thread(target=self._work, name="generate-batch", daemon=True).start()

    def _work(self) -> None:
        """Takes steps until no request is left."""
        batch, running = Batch(self._mixed), dict[Row, _Request]()
        while True:
            with self._lock:
                joining, self._waiting = self._waiting, []
                if not joining and not running:
                    self._working = False
                    return
            for request in joining:
                if request.unwanted:
                    continue
                try:
                    running[row := batch.join(request.prompt, request.weights, request.choose)] = request
                except BaseException as error:
                    request.tokens.put(error)
                else:
                    self._say(row, request)
            leaving = {row for row, request in running.items() if request.unwanted or not request.left}
            batch.leave(leaving)
            for row in leaving:
                del running[row]
            try:
                failures = batch.step() if running else []
            except BaseException as error:
                for request in running.values():
                    request.tokens.put(error)
                batch, running = Batch(self._mixed), {}
                continue
            for row, failure in zip(batch.rows, failures, strict=True):
                if failure is None:
                    self._say(row, running[row])
                else:
                    running[row].tokens.put(failure)
                    running[row].left = 0

    def _say(self, row: Row, request: _Request) -> None:
        """Hands over the token of a row, and the end after the last one."""
        request.left -= 1
        request.tokens.put(row.token)
        if not request.left or row.token in self._ends:
            request.left = 0
            request.tokens.put(None)

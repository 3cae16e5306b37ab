"""Calls for one memory take turns in the order in which they come."""

from __future__ import annotations

import threading

from service.app.repository import Turns
from tests.patience import PATIENCE, eventually


def test_threads_get_their_turns_in_order_and_one_that_comes_again_is_last() -> None:
    turns, order, threads = Turns(), list[int](), list[threading.Thread]()

    def take(number: int) -> None:
        with turns:
            order.append(number)

    with turns:
        for number in range(8):
            threads.append(threading.Thread(target=take, args=(number,)))
            threads[-1].start()
            eventually(lambda: len(turns._waiting) == len(threads))
    take(8)  # at once, while the others wait
    for thread in threads:
        thread.join(PATIENCE)

    assert order == list(range(9))


def test_a_turn_is_free_again_after_an_error() -> None:
    turns = Turns()
    for _ in range(2):
        try:
            with turns:
                raise ValueError
        except ValueError:
            pass

    assert not turns._taken

"""Ends an answer before texts that the caller names."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from service.app.ports import Piece


def until(pieces: Generator[Piece, None, None], stops: Sequence[str]) -> Generator[Piece, None, None]:
    """Yields `pieces` up to the first of `stops`, with text that may begin one held back until that is decided."""
    held = ""
    try:
        for piece in pieces:
            text = held + piece.text
            cut = min((text.find(stop) for stop in stops if stop in text), default=-1)
            if cut >= 0:
                yield replace(piece, text=text[:cut], finish="stop")
                return
            held = "" if piece.finish else _begun(text, stops)
            yield replace(piece, text=text[: len(text) - len(held)])
    finally:
        pieces.close()


def _begun(text: str, stops: Sequence[str]) -> str:
    """Returns the longest end of `text` that one of `stops` begins with."""
    lengths = range(min(len(text), max(map(len, stops), default=0)), 0, -1)
    return next((text[-length:] for length in lengths if any(stop.startswith(text[-length:]) for stop in stops)), "")

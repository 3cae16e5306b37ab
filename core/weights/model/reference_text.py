"""Reads reference text, which an edit must leave alone, from JSON lines.

{"text": "..."}                        a document; all its tokens count
{"chat": [["question", "answer"]]}     a chat; all its tokens count
{"abstention": "question"}             a question about a stranger; the token before the answer counts
{"recall": "prompt"}                   a raw prompt that ends before an object; its last token counts
{"recall": ["question", "beginning"]}  the same in chat; `beginning` of the answer may be empty
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from core.errors.base import Damaged
from core.weights.model.editable_model import EditableModel


@dataclass(frozen=True, slots=True)
class ReferenceText:
    """Token ids, by what counts in them; `documents` are those of `whole` that are not chats."""

    whole: list[list[int]] = field(default_factory=list)
    abstentions: list[list[int]] = field(default_factory=list)
    recalls: list[list[int]] = field(default_factory=list)
    documents: list[list[int]] = field(default_factory=list)


def read_reference(model: EditableModel, data: bytes) -> ReferenceText:
    """Reads JSON lines. Raises Damaged with the number of the first line that is not of a known kind."""
    text = ReferenceText()
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), 1):  # no other character ends a line of JSON
        try:
            _add(model, text, json.loads(line))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise Damaged(f"line {number} of the reference text is not of a known kind: {error}") from error
    return text


def _add(model: EditableModel, text: ReferenceText, row: dict[str, Any]) -> None:
    ((kind, value),) = row.items()
    if kind == "text":
        text.whole.append(model.raw_ids(value))
        text.documents.append(text.whole[-1])
    elif kind == "chat":
        text.whole.append(model.chat_ids(list(value[:-1]), value[-1][0], value[-1][1]))
    elif kind == "abstention":
        text.abstentions.append(model.chat_ids([], value))
    elif kind == "recall" and isinstance(value, str):
        text.recalls.append(model.raw_ids(value))
    elif kind == "recall":
        text.recalls.append(model.chat_ids([], value[0], value[1]))
    else:
        raise KeyError(kind)

"""What a model is asked, as tokens. Made before its lock is taken: nobody waits for the long conversation of others."""

from __future__ import annotations

from jinja2 import TemplateError

from core.errors.base import InvalidField
from core.weights.model import templates
from core.weights.model.editable_model import EditableModel

CHARACTERS = 16  # of a text for each token that the model reads, at most; languages have 1 to 6 on average


def tokens_of(model: EditableModel, messages: list[dict[str, str]] | None, prompt: str | None) -> list[int]:
    """The tokens of a conversation up to the model's reply, or of a text to continue: one of the two is given.

    Raises:
        InvalidField: they leave no room for an answer, or no such conversation fits the template.
        ModelUnavailable: the model's chat template fails, or does not come to an end.
    """
    field = "prompt" if messages is None else "messages"
    texts = [prompt or ""] if messages is None else [message["content"] for message in messages]
    characters, reads = sum(map(len, texts)), window(model)
    if characters > CHARACTERS * reads:  # counted, as it takes seconds to make tokens of megabytes
        raise InvalidField(
            field,
            f"has {characters} characters, far more than fit in the {reads} tokens that the model reads at once; "
            "shorten it",
        )
    ids = model.raw_ids(texts[0]) if messages is None else _chat_ids(model, messages)
    if len(ids) >= reads:
        raise InvalidField(
            field,
            f"takes {len(ids)} tokens and leaves no room for an answer in the {reads} that the model reads at once; "
            "shorten it",
        )
    return ids


def window(model: EditableModel) -> int:
    """How many tokens the model reads at once, its answer included."""
    return int(model.network.config.max_position_embeddings)


def _chat_ids(model: EditableModel, messages: list[dict[str, str]]) -> list[int]:
    try:
        text = templates.fill_in(model.tokenizer, messages)
    except TemplateError as error:  # some take no system message, or only turns that alternate
        raise InvalidField("messages", f"do not fit the model's chat template: {error}; send other turns") from None
    return list(model.tokenizer(text, add_special_tokens=False).input_ids)

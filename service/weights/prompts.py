"""Prompts as tokens, made before the lock of a model is taken, so that a long prompt does not delay other chats."""

from __future__ import annotations

from jinja2 import TemplateError

from core.errors.base import InvalidField
from core.weights.model import templates
from core.weights.model.editable_model import EditableModel

CHARACTERS = 16  # of a text for each token that the model reads, at most; languages have 1 to 6 on average


def tokens_of(model: EditableModel, messages: list[dict[str, str]] | None, prompt: str | None) -> list[int]:
    """Returns the tokens of a conversation up to the reply, or those of a text to continue; give one of the two.

    Raises:
        InvalidField: they leave no room for an answer, or the conversation does not fit the chat template.
        ModelUnavailable: the model's chat template fails, or does not come to an end.
    """
    field = "prompt" if messages is None else "messages"
    texts = [prompt or ""] if messages is None else [message["content"] for message in messages]
    characters, reads = sum(map(len, texts)), window(model)
    if characters > CHARACTERS * reads:  # counted first, because megabytes take seconds to tokenize
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
    """Returns how many tokens the model reads at once, its answer included."""
    return int(model.network.config.max_position_embeddings)


def _chat_ids(model: EditableModel, messages: list[dict[str, str]]) -> list[int]:
    try:
        text = templates.fill_in(model.tokenizer, messages)
    except TemplateError as error:  # some templates refuse system messages, or turns that do not alternate
        raise InvalidField("messages", f"do not fit the model's chat template: {error}; send other turns") from None
    return list(model.tokenizer(text, add_special_tokens=False).input_ids)

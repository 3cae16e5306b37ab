"""Probes: prompts to the live model, each with the object that counts as the right continuation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.texts import STOPS, closed, sentence
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import MAX_NEW_TOKENS, greedy
from core.wordings import answer_alone

BEYOND = 8  # tokens read beyond a longer answer, to see whether it ends there


@dataclass(frozen=True, slots=True)
class Probe:
    """A prompt and the answers to it that count as right.

    Attributes:
        prompt: raw text, or a chat question.
        chat: whether it is a chat question.
        begin: beginning of a right answer in chat, up to the object; empty for raw text.
        object: text that must follow.
    """

    prompt: str
    chat: bool
    begin: str
    object: str

    def passes(self, output: str) -> bool:
        """Returns whether `output` is exactly the object: alone in raw text, alone or in a full sentence in chat.

        A chat answer that is the object alone may begin with an article, and with a capital.
        """
        right = {sentence(self.object), sentence(f"{self.begin} {self.object}")}
        if self.chat:
            right |= {sentence(answer_alone("", self.object)), sentence(answer_alone(self.begin, self.object))}
        return sentence(output) in right


def run_probes(model: EditableModel, probes: Sequence[Probe]) -> list[str]:
    """Returns the live model's greedy outputs to `probes`, in order."""
    outputs: dict[int, str] = {}
    for chat in (False, True):
        chosen = [index for index, probe in enumerate(probes) if probe.chat is chat]
        prompts = [
            model.chat_ids([], probes[index].prompt) if chat else model.raw_ids(probes[index].prompt)
            for index in chosen
        ]
        if prompts:
            stops = [sum(closed(probes[index].object).count(stop) for stop in STOPS) for index in chosen]
            limits = [_needed(model, probes[index]) for index in chosen]
            texts = greedy(model, prompts, sentence=not chat, stops=stops, max_new_tokens=limits, share=True)
            outputs |= dict(zip(chosen, texts, strict=True))
    return [outputs[index] for index in range(len(probes))]


def _needed(model: EditableModel, probe: Probe) -> int:
    """Returns the most tokens to generate, so that the whole answer fits."""
    answer = model.tokenizer(f"{probe.begin} {closed(probe.object)}", add_special_tokens=False).input_ids
    return max(MAX_NEW_TOKENS, len(answer) + BEYOND)

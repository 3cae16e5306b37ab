"""One padded forward pass over many contexts: keys of the edited modules and what the blocks above them need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from core.weights.contexts import Context
from core.weights.subject import Subject


@dataclass(frozen=True, slots=True)
class Capture:
    """What one pass saw at the `p` positions that predict target tokens.

    Attributes:
        rows, columns: [p], the context and the token of each position.
        targets: [p], the token that should follow.
        keys: module -> [p, d_in], the inputs of the edited modules.
        hidden: [contexts, tokens, d], the output of the last edited block.
        above: runs the blocks above on such a tensor; identity where there are none.
    """

    rows: Tensor
    columns: Tensor
    targets: Tensor
    keys: Mapping[str, Tensor]
    hidden: Tensor
    above: Callable[[Tensor], Tensor]

    def predicted(self, subject: Subject) -> Tensor:
        """[p] the greedy token at each position."""
        with torch.no_grad():
            return subject.logits(self.above(self.hidden)[self.rows, self.columns]).argmax(-1)

    def probability(self, subject: Subject) -> Tensor:
        """[p] probability of each target token."""
        with torch.no_grad():
            logits = subject.logits(self.above(self.hidden)[self.rows, self.columns])
            return logits.softmax(-1).gather(1, self.targets[:, None])[:, 0]


@dataclass(slots=True)
class _Seen:
    inputs: dict[str, Tensor] = field(default_factory=dict)
    hidden: list[Tensor] = field(default_factory=list)
    arguments: dict[int, dict[str, Any]] = field(default_factory=dict)  # by block: their masks may differ


def pad(sequences: Sequence[Sequence[int]], filler: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids padded on the right and their mask, both [n, longest]."""
    width = max(map(len, sequences))
    ids = torch.full((len(sequences), width), filler)
    mask = torch.zeros((len(sequences), width), dtype=torch.long)
    for row, tokens in enumerate(sequences):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
    return ids.to(device), mask.to(device)


@torch.no_grad()
def capture(subject: Subject, contexts: Sequence[Context]) -> Capture:
    """Runs `contexts` through the live model once."""
    ids, mask = pad([context.ids for context in contexts], subject.pad_token, subject.device)
    places = [
        (row, context.start - 1 + step, context.ids[context.start + step])
        for row, context in enumerate(contexts)
        for step in range(len(context.names))
    ]
    rows, columns, targets = torch.tensor(places, device=subject.device).T
    seen, last = _Seen(), subject.block_of(subject.modules[-1])
    blocks = subject.blocks
    with ExitStack() as hooks:
        for module in subject.modules:
            hooks.enter_context(_hook(subject.model.get_submodule(module), _keep_input(seen, module, rows, columns)))
        hooks.enter_context(_hook(blocks[last], _keep_output(seen)))
        for number in range(last + 1, len(blocks)):
            handle = blocks[number].register_forward_pre_hook(_keep_arguments(seen, number), with_kwargs=True)
            hooks.callback(handle.remove)
        subject.model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=1)

    def above(hidden: Tensor) -> Tensor:
        for number in range(last + 1, len(blocks)):
            output = blocks[number](hidden, **seen.arguments[number])
            hidden = output[0] if isinstance(output, tuple) else output
        return hidden

    return Capture(rows, columns, targets, seen.inputs, seen.hidden[0], above)


@torch.no_grad()
def last_keys(subject: Subject, sequences: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """Module -> [n, d_in], the live model's keys at the last token of each sequence."""
    ids, mask = pad(sequences, subject.pad_token, subject.device)
    rows, columns = torch.arange(len(sequences), device=subject.device), mask.sum(1) - 1
    seen = _Seen()
    with ExitStack() as hooks:
        for module in subject.modules:
            hooks.enter_context(_hook(subject.model.get_submodule(module), _keep_input(seen, module, rows, columns)))
        subject.model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=1)
    return seen.inputs


def _hook(module: torch.nn.Module, function: Callable[..., None]) -> ExitStack:
    stack = ExitStack()
    stack.callback(module.register_forward_hook(function).remove)
    return stack


def _keep_input(seen: _Seen, module: str, rows: Tensor, columns: Tensor) -> Callable[..., None]:
    def keep(_: torch.nn.Module, inputs: tuple[Tensor, ...], __: Tensor) -> None:
        seen.inputs[module] = inputs[0][rows, columns].clone()

    return keep


def _keep_output(seen: _Seen) -> Callable[..., None]:
    def keep(_: torch.nn.Module, __: tuple[Any, ...], output: Tensor | tuple[Tensor, ...]) -> None:
        seen.hidden.append((output[0] if isinstance(output, tuple) else output).clone())

    return keep


def _keep_arguments(seen: _Seen, number: int) -> Callable[..., None]:
    def keep(_: torch.nn.Module, __: tuple[Any, ...], arguments: dict[str, Any]) -> None:
        seen.arguments[number] = {name: value for name, value in arguments.items() if name != "hidden_states"}

    return keep

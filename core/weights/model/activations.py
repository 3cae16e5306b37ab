"""Captures what a model computes on many contexts: the keys of its edited modules, and what the blocks above need.

Each context is run as a prefix and a suffix (see `suffix_forward`), contexts with suffixes of about the same length
together: prefixes padded on the left and suffixes on the right, so that they meet and sliding windows of attention
stay right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import accumulate, groupby
from typing import Any

import torch
from torch import Tensor, nn

from core.weights.model.contexts import Context
from core.weights.model.editable_model import EditableModel
from core.weights.model.suffix_forward import Arguments, Filled, PaddedSuffixes, PrefixCache, UpperBlocks, adapted, run

GROUPS = 2  # into which contexts are put that are to be run in parts, so that parts of few contexts stay together
SPARE = 32  # tokens of padding that cost about as much as one more padded tensor


@dataclass(slots=True)
class _Pass:
    """What blocks were given in one pass over padded prefixes or suffixes.

    Attributes:
        inputs: edited block -> [contexts, tokens, d].
        arguments: block -> its other arguments, from the first edited block on.
        keys: edited module -> [q, d_in], its inputs at the wanted positions; empty without such positions.
        output: [q, d], output of the last edited block at these positions.
        top: [q, d], output of the last block there.
        read: [q, d], what the MLP of the last edited block reads there.
    """

    inputs: dict[int, Tensor] = field(default_factory=dict)
    arguments: dict[int, Arguments] = field(default_factory=dict)
    keys: dict[str, Tensor] = field(default_factory=dict)
    output: Tensor = field(default_factory=lambda: torch.empty(0))
    top: Tensor = field(default_factory=lambda: torch.empty(0))
    read: Tensor = field(default_factory=lambda: torch.empty(0))


@dataclass(frozen=True, slots=True)
class _Group:
    """Contexts that are run together."""

    part: PaddedSuffixes
    prefix: _Pass
    suffix: _Pass


@dataclass(frozen=True, slots=True)
class Activations:
    """What a model computes at the `p` positions that predict target tokens, context by context.

    Attributes:
        rows: [p], the context of each position.
        targets: [p], the token that should follow.
        keys: module -> [p, d_in], the inputs of the edited modules.
        hidden: [p, d], the output of the last edited block.
        above: runs the blocks above on such a tensor.
        top: [p, d], the output of the last block; empty in what was recomputed.
        read: [p, d], what the MLP of the last edited block reads.
    """

    subject: EditableModel
    rows: Tensor
    targets: Tensor
    keys: Mapping[str, Tensor]
    hidden: Tensor
    above: UpperBlocks
    top: Tensor
    read: Tensor
    groups: tuple[_Group, ...]

    @torch.no_grad()
    def logits(self) -> Tensor:
        """Returns [p, vocabulary]."""
        return self.subject.logits(self.top if len(self.top) else self.above(self.hidden))

    def predicted(self) -> Tensor:
        """Returns [p] the greedy token at each position."""
        return self.logits().argmax(-1)

    def probability(self) -> Tensor:
        """Returns [p] the probability of each target token."""
        return self.logits().softmax(-1).gather(1, self.targets[:, None])[:, 0]

    @torch.no_grad()
    def recompute_from(self, module: str) -> Activations:
        """Captures again after a change of weights in `module` or later ones; the blocks below are not run again."""
        start = self.subject.block_of(module)
        groups = tuple(_run_again(self.subject, group, start) for group in self.groups)
        return _assembled(self.subject, self.rows, self.targets, groups)

    def only(self, keep: Tensor) -> Activations:
        """Drops all contexts but those to `keep` [contexts]; what is left cannot be recomputed from a module on."""
        kept = keep[self.rows]
        return Activations(
            self.subject,
            rows=(keep.cumsum(0) - 1)[self.rows[kept]],
            targets=self.targets[kept],
            keys={module: keys[kept] for module, keys in self.keys.items()},
            hidden=self.hidden[kept],
            above=self.above.only(kept),
            top=self.top[kept],
            read=self.read[kept],
            groups=(),
        )

    def beside(self, following: Activations) -> Activations:
        """Returns these contexts and those of `following` behind them, which cannot be recomputed either."""
        contexts, positions = int(self.rows.max()) + 1 if len(self.rows) else 0, len(self.rows)
        moved = tuple(replace(part, places=part.places + positions) for part in following.above.parts)
        return Activations(
            self.subject,
            rows=torch.cat([self.rows, following.rows + contexts]),
            targets=torch.cat([self.targets, following.targets]),
            keys={module: torch.cat([keys, following.keys[module]]) for module, keys in self.keys.items()},
            hidden=torch.cat([self.hidden, following.hidden]),
            above=UpperBlocks(self.above.blocks, (*self.above.parts, *moved)),
            top=torch.cat([self.top, following.top]),
            read=torch.cat([self.read, following.read]),
            groups=(),
        )


@torch.no_grad()
def capture(model: EditableModel, contexts: Sequence[Context], *, share: bool = False) -> Activations:
    """Runs `contexts` through the live model, in groups of about the same suffix length.

    Args:
        share: run what all prefixes of a group begin with once, such as the head of a chat; what comes of it cannot be
            recomputed from a module on.
    """
    counts = [len(context.names) for context in contexts]
    first = [0, *accumulate(counts)]  # the first position of each context
    groups = []
    for rows in _together(contexts, counts) if share else alike(counts):
        places = [place for row in rows for place in range(first[row], first[row + 1])]
        groups.append(_run(model, [contexts[row] for row in rows], places, share))
    targets = [token for context in contexts for token in context.ids[context.start :]]
    rows = [row for row, count in enumerate(counts) for _ in range(count)]
    device = model.device
    return _assembled(model, torch.tensor(rows, device=device), torch.tensor(targets, device=device), tuple(groups))


def targets_predicted(
    model: EditableModel, contexts: Sequence[Context], facts: int
) -> tuple[tuple[bool, ...], ...]:  # fmt: skip
    """Returns for each of so many facts, and each of its contexts, whether the live model predicts the whole target."""
    seen = capture(model, contexts, share=True)
    wrong = set(seen.rows[seen.predicted() != seen.targets].tolist())
    return tuple(
        tuple(row not in wrong for row, context in enumerate(contexts) if context.fact == number)
        for number in range(facts)
    )


def _together(contexts: Sequence[Context], counts: Sequence[int]) -> Iterator[list[int]]:
    """Yields the rows of each group; chats and raw texts are apart, because only chats begin alike."""
    for chat in (True, False):
        rows = [row for row, context in enumerate(contexts) if context.chat == chat]
        lengths = [counts[row] for row in rows]
        for group in alike(lengths, sum(lengths) // GROUPS):
            yield [rows[place] for place in group]


@torch.no_grad()
def last_keys(model: EditableModel, sequences: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """Returns module -> [n, d_in], the live model's keys at the last token of each sequence."""
    ids, mask = pad(sequences, model.pad_token, model.device)
    slots = torch.arange(len(sequences), device=model.device) * ids.shape[1] + mask.sum(1) - 1
    with _watched(model, slots) as seen:
        model.network(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=1)
    return seen.keys


def pad(sequences: Sequence[Sequence[int]], filler: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pads token ids on the right; returns them and their mask, both [n, longest]."""
    width = max(map(len, sequences))
    ids = torch.full((len(sequences), width), filler)
    mask = torch.zeros((len(sequences), width), dtype=torch.long)
    for row, tokens in enumerate(sequences):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
    return ids.to(device), mask.to(device)


def alike_until(texts: Sequence[Sequence[int]]) -> int:
    """Returns how many tokens all of `texts` begin with."""
    columns = zip(*texts, strict=False)
    return next((place for place, tokens in enumerate(columns) if len(set(tokens)) > 1), min(map(len, texts)))


def alike(lengths: Sequence[int], spare: int = SPARE) -> list[list[int]]:
    """Groups the indices of `lengths`, long ones first: equal lengths together, few with the next longer.

    Args:
        spare: tokens of padding that a group may have.
    """
    groups: list[list[int]] = []
    padding = 0
    for length, same in groupby(sorted(range(len(lengths)), key=lambda row: -lengths[row]), key=lengths.__getitem__):
        rows = list(same)
        padding += (lengths[groups[-1][0]] - length) * len(rows) if groups else spare + 1
        if padding > spare:
            groups.append([])
            padding = 0
        groups[-1] += rows
    return groups


def _run(model: EditableModel, contexts: Sequence[Context], places: Sequence[int], share: bool) -> _Group:
    """Runs both passes through the whole model: prefixes fill a cache, suffixes read it."""
    filler, device = model.pad_token, model.device
    starts = [context.ids[: context.start - 1] for context in contexts]
    shared = _shared(starts) if share else 0
    past = _begun(model, starts[0][:shared], len(contexts))
    prefixes, before = _pad_left([start[shared:] for start in starts], filler, device)
    suffixes, real = pad([context.ids[context.start - 1 : -1] for context in contexts], filler, device)
    mask = torch.cat([before.new_ones(len(contexts), shared), before, real], 1)
    number = (mask.cumsum(1) - 1).clamp(min=0)  # [contexts, tokens], of a token in its context
    slots = real.flatten().nonzero()[:, 0]  # [q], the real tokens among the padded suffixes
    common: dict[str, Any] = {**model.with_cache(past), "use_cache": True, "logits_to_keep": 1}
    cut = shared + prefixes.shape[1]
    with _watched(model) as prefix, suppress(Filled):
        model.network(
            input_ids=prefixes, attention_mask=mask[:, :cut], position_ids=number[:, shared:cut], **common
        )  # fmt: skip
    with _watched(model, slots) as suffix:
        model.network(input_ids=suffixes, attention_mask=mask, position_ids=number[:, cut:], **common)
    where = torch.tensor(places, device=device)
    part = PaddedSuffixes(where, slots, len(contexts), suffixes.shape[1], past, _above(model, suffix))
    return _Group(part, prefix, suffix)


def _shared(starts: Sequence[Sequence[int]]) -> int:
    """Returns how many tokens all prefixes begin with, where running those once is worth a pass; 0 otherwise."""
    shared = alike_until(starts)
    return shared if shared * (len(starts) - 1) > SPARE else 0


def _begun(model: EditableModel, beginning: Sequence[int], count: int) -> PrefixCache:
    """Returns a cache that holds `beginning` for each of `count` contexts."""
    past = PrefixCache(len(model.blocks) - 1)
    if not beginning:
        return past
    with suppress(Filled):
        ids = torch.tensor([list(beginning)], device=model.device)
        model.network(input_ids=ids, use_cache=True, logits_to_keep=1, **model.with_cache(past))
    return past.repeated(count)


def _pad_left(sequences: Sequence[Sequence[int]], filler: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pads on the left, to a width of at least one token so that blocks have something to cache."""
    ids, mask = pad([*([*tokens[::-1]] for tokens in sequences), [filler]], filler, device)
    return ids[:-1].flip(1), mask[:-1].flip(1)


@contextmanager
def _watched(model: EditableModel, slots: Tensor | None = None) -> Iterator[_Pass]:
    """Records what blocks are given inside the block; with `slots` [q], keys and output there."""
    seen = _Pass()
    edited = [model.block_of(module) for module in model.modules]

    def arrive(number: int) -> Callable[..., None]:
        def keep(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            hidden, *rest = given
            seen.arguments[number] = tuple(rest), named
            if number in edited:
                seen.inputs[number] = hidden

        return keep

    def use(module: str) -> Callable[..., None]:
        def keep(_: nn.Module, inputs: tuple[Tensor, ...], __: Tensor) -> None:
            seen.keys[module] = inputs[0].flatten(0, 1)[slots]

        return keep

    def reads(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.read = inputs[0].flatten(0, 1)[slots]

    def leave(_: nn.Module, __: tuple[Any, ...], output: Tensor | tuple[Tensor, ...]) -> None:
        seen.output = (output[0] if isinstance(output, tuple) else output).flatten(0, 1)[slots]

    def end(_: nn.Module, __: tuple[Any, ...], output: Tensor | tuple[Tensor, ...]) -> None:
        seen.top = (output[0] if isinstance(output, tuple) else output).flatten(0, 1)[slots]

    with ExitStack() as hooks:
        for number in range(min(edited), len(model.blocks)):
            handle = model.blocks[number].register_forward_pre_hook(arrive(number), with_kwargs=True)
            hooks.callback(handle.remove)
        if slots is not None:
            for module in model.modules:
                hooks.callback(model.network.get_submodule(module).register_forward_hook(use(module)).remove)
            last = model.blocks[edited[-1]]
            hooks.callback(last.get_submodule(model.family.mlp).register_forward_pre_hook(reads).remove)
            hooks.callback(last.register_forward_hook(leave).remove)
            hooks.callback(model.blocks[-1].register_forward_hook(end).remove)
        yield seen


def _run_again(model: EditableModel, group: _Group, start: int) -> _Group:
    """Runs both passes through the blocks from `start` on, suffixes only to the last edited block."""
    past, last = PrefixCache(len(model.blocks) - 1), model.block_of(model.modules[-1])
    passes = []
    for old, stop, slots in ((group.prefix, len(model.blocks), None), (group.suffix, last + 1, group.part.slots)):
        arguments: dict[int, Arguments] = adapted(old.arguments, past)
        numbers = range(start, stop)
        with _watched(model, slots) as new, suppress(Filled):
            run([model.blocks[n] for n in numbers], old.inputs[start], [arguments[n] for n in numbers])
        passes.append(_Pass(old.inputs | new.inputs, arguments, old.keys | new.keys, new.output, read=new.read))
    prefix, suffix = passes
    return _Group(replace(group.part, past=past, arguments=_above(model, suffix)), prefix, suffix)


def _above(model: EditableModel, suffix: _Pass) -> dict[int, Arguments]:
    """Returns what the blocks above the last edited one are called with."""
    last = model.block_of(model.modules[-1])
    return {number: arguments for number, arguments in suffix.arguments.items() if number > last}


def _assembled(model: EditableModel, rows: Tensor, targets: Tensor, groups: tuple[_Group, ...]) -> Activations:
    """Puts what the groups captured into the order of positions."""
    order = torch.cat([group.part.places for group in groups]).argsort()

    def ordered(tensors: Iterable[Tensor]) -> Tensor:
        return torch.cat(list(tensors))[order]

    whole = all(len(group.suffix.top) for group in groups)
    return Activations(
        model,
        rows,
        targets,
        keys={module: ordered(group.suffix.keys[module] for group in groups) for module in model.modules},
        hidden=ordered(group.suffix.output for group in groups),
        above=UpperBlocks(model.blocks, tuple(group.part for group in groups)),
        top=ordered(group.suffix.top for group in groups) if whole else torch.empty(0),
        read=ordered(group.suffix.read for group in groups),
        groups=groups,
    )

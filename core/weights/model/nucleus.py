"""Draws tokens by a seed."""

from __future__ import annotations

import torch
from torch import Tensor

from core.errors.base import Unlearnable

TOP_P = 0.95
CANDIDATES = 1024  # most tokens to draw from, because sorting a whole vocabulary takes longer than a step of the model
COLDEST = 1e-3  # least temperature that logits are divided by, so that quotients stay finite


class Nucleus:
    """Draws tokens from the likeliest ones, which together have `top_p` of the probability (Holtzman et al. 2020)."""

    def __init__(self, seed: int, device: torch.device, temperature: float = 1.0, top_p: float = TOP_P) -> None:
        self._generator = torch.Generator(device).manual_seed(seed)
        self._temperature = max(temperature, COLDEST)
        self._top_p = max(top_p, 1e-9)  # so that the likeliest token is always kept

    def __call__(self, logits: Tensor) -> Tensor:
        """Returns tokens [rows] by `logits` [rows, vocabulary].

        Raises:
            Unlearnable: logits are not numbers.
        """
        if logits.isnan().any():
            raise Unlearnable("the model's logits are not finite in this dtype; use bfloat16 or float32")
        shares, tokens = (logits.float() / self._temperature).softmax(-1).topk(min(CANDIDATES, logits.shape[-1]))
        kept = shares * (shares.cumsum(-1) - shares < self._top_p)
        drawn = torch.multinomial(kept, 1, generator=self._generator)
        return tokens.gather(-1, drawn)[:, 0]

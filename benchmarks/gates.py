"""What each part of a sleep is worth: the same facts and nights with one part left out.

- `shipped`: rehearsal, KL to the pristine model, a gate for each fact.
- `no rehearsal`: neither rehearsed texts nor dissolved facts in training.
- `no KL`: rehearsed texts are left out of the loss; dissolved facts stay in it.
- `whole edit`: one verdict for all facts: all advance if the mean share of passed probes is enough.
- `predecessor`: one example a fact, no rehearsal, rank 16, ten steps a fact, no gate that looks at probes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.sleep import nights
from benchmarks.summary import summary
from core.policy import SleepPolicy, Training

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Arm:
    """A policy made from the shipped one and the number of facts."""

    name: str
    change: Callable[[SleepPolicy, int], SleepPolicy]


def _training(policy: SleepPolicy, **changes: Any) -> SleepPolicy:
    return replace(policy, training=replace(policy.training, **changes))


def _unguarded(policy: SleepPolicy) -> SleepPolicy:
    """Nothing is rolled back, so that the damage shows."""
    return replace(policy, perplexity_limit=1e9, neighbours_limit=0.0, strangers_limit=0.0, recall_limit=0.0)


ARMS = (
    Arm("shipped", lambda policy, _: policy),
    Arm("no rehearsal", lambda p, _: _unguarded(replace(_training(p, rehearsal=0), rehearsed=0))),
    Arm("no KL", lambda p, _: _unguarded(_training(p, divergence_weight=0.0))),
    Arm("whole edit", lambda p, _: _unguarded(replace(p, gate=0.0))),
    Arm(
        "predecessor",
        lambda p, n: _unguarded(
            replace(
                p,
                training=Training(
                    rank=16, steps=10 * n, learning_rate=p.training.learning_rate, batch=1, rehearsal=0,
                    divergence_weight=0.0, enough=0.0,
                ),
                rehearsed=0, gate=0.0, trainings=1, refreshes=0,
            )
        ),
    ),
)  # fmt: skip


def run(*, facts: int = 20, cycles: int = 3, seeds: int = 1,
        progress: Progress = lambda done, total, what: None) -> dict[str, Any]:  # fmt: skip
    """Rows `arm, raw, chat, paraphrase, neighbours, strangers, untold, perplexity_drift, dissolved, seconds` after the
    last cycle."""
    rows, done = [], 0
    for arm in ARMS:
        found = []
        for seed in range(1, seeds + 1):
            policy = arm.change(SleepPolicy(), facts)
            found.append(nights(facts, seed, cycles, policy)[-1][1])
            progress(done := done + 1, len(ARMS) * seeds, arm.name)
        rows.append({"arm": arm.name, **summary(found)})
    return {"bench": "gates", "settings": {"facts": facts, "cycles": cycles, "seeds": seeds}, "rows": rows}

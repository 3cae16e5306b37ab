"""The verdict on one fact's probes: k of n, and never without the two plainest of them."""

from __future__ import annotations

from collections.abc import Sequence

from core.events.sleep import ProbeResult


def passes(probes: Sequence[ProbeResult], share: float) -> bool:
    """Whether at least `share` of `probes` pass, the first raw and the first chat one among them.

    Questions about what was not told (`untold`) are no evidence about the fact and do not count; without any
    evidence nothing passes.
    """
    counted = [probe for probe in probes if probe.pathway != "untold"]
    plainest = [next((p for p in counted if p.pathway == pathway), None) for pathway in ("raw", "chat")]
    if any(probe is not None and not probe.passed for probe in plainest):
        return False
    passed = sum(probe.passed for probe in counted)
    return bool(counted) and passed / len(counted) >= share  # not share * n: 0.56 * 25 is above 14


def known(probes: Sequence[ProbeResult]) -> bool:
    """Whether the pristine model passes every probe it was asked, and was asked one."""
    asked = [probe.base for probe in probes if probe.base is not None and probe.pathway != "untold"]
    return bool(asked) and all(asked)

"""The verdict on one fact's probes: enough of them pass, and the first raw and the first chat probe do."""

from __future__ import annotations

from collections.abc import Sequence

from core.events.sleep import ProbeResult


def passes(probes: Sequence[ProbeResult], share: float) -> bool:
    """Whether at least `share` of `probes` pass, among them the first raw and the first chat probe.

    Locality probes (`unanswered`) do not count, because they say nothing about the fact itself. If no probe counts, the
    verdict is False.

    Args:
        share: `SleepPolicy.gate` at a gate, `SleepPolicy.healthy` in an audit.
    """
    counted = [probe for probe in probes if probe.pathway != "unanswered"]
    required = [next((probe for probe in counted if probe.pathway == pathway), None) for pathway in ("raw", "chat")]
    if any(probe is not None and not probe.passed for probe in required):
        return False
    passed = sum(probe.passed for probe in counted)
    return bool(counted) and passed / len(counted) >= share  # not passed >= share * n, because in floats 0.56 * 25 > 14


def known(probes: Sequence[ProbeResult]) -> bool:
    """Whether the base model was asked at least one probe and passes all that it was asked."""
    asked = [probe.base for probe in probes if probe.base is not None and probe.pathway != "unanswered"]
    return bool(asked) and all(asked)

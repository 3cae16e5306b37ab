"""The report of a sleep as people read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from core.wordings import in_words
from service.cli.facts.harm import harm
from service.cli.output import print_pairs, print_table, print_text

if TYPE_CHECKING:
    from hypnogram.v1 import sleep_pb2

Row = tuple[str, str, str, str]

TRIGGERS = {"client": "a request"}  # pressure and the clock say themselves what they are


def print_report(report: sleep_pb2.SleepReport) -> None:
    """What became of every fact and why, and how everything else fared."""
    print_pairs(_heading(report))
    rows = list(_facts(report))
    if rows:
        print_text("")
        print_table("", ("fact", "what", "stage and scale", "why"), rows)
    if report.HasField("controls_before"):
        print_text("")
        print_table("", ("", "before", "after"), _measures(report))
    for failure in report.failures:
        print_text(f"{failure.step} failed, attempt {failure.attempt}: {failure.message}")


def _heading(report: sleep_pb2.SleepReport) -> Iterator[tuple[str, object]]:
    yield report.kind, f"{report.sleep}, begun by {TRIGGERS.get(report.trigger, report.trigger)}, seed {report.seed}"
    yield "outcome", _outcome(report)
    if report.remark:
        yield "remark", report.remark
    yield "versions", f"{report.began_version} to {report.ended_version or 'now'}, {report.seconds:.1f} s"
    for one in report.adapters:
        yield (
            "adapter",
            f"{one.facts} facts, {one.rehearsed} rehearsed, {one.texts} texts; {one.steps} steps in "
            f"{one.seconds:.1f} s, loss {one.first_loss:.3f} -> {one.last_loss:.3f}",
        )
    yield "weights", f"{report.weights_before[:12]} -> {report.weights_after[:12]}"


def _outcome(report: sleep_pb2.SleepReport) -> str:
    if not report.ended:
        return f"in progress, at {report.step}"
    if not report.completed:
        return f"rolled back ({report.reason}): weights, stages and keys are those of before"
    but = harm(report.controls_after)
    but = f"; {but}" if but and report.HasField("controls_after") else ""
    if report.kind == "nap":
        return f"completed: {report.healthy_after} of {report.audited} facts healthy{but}"
    return (
        f"completed: {len(report.advanced)} advanced, {len(report.retreated)} retreated, {len(report.refreshed)} "
        f"refreshed, {len(report.dissolved)} dissolved, {len(report.degraded)} still degraded{but}"
    )


def _facts(report: sleep_pb2.SleepReport) -> Iterator[Row]:
    dissolved = {one.fact for one in report.dissolved}
    for one in report.refreshed:
        yield _words(one), "refreshed", _way(one), f"degraded: {one.passed} of {one.asked} probes"
    for one in report.advanced:
        what = "dissolved" if one.fact in dissolved else "advanced"
        yield _words(one), what, _way(one), f"{one.passed} of {one.asked} probes at scale {one.scale:g}"
    for one in report.retreated:
        what = "retreated" if one.stage != one.from_stage else "stayed"
        yield _words(one), what, _way(one), f"turned back at the gate: {one.passed} of {one.asked} probes"
    for verdict in report.degraded:
        yield _words(verdict), "degraded", f"scale {verdict.scale:g}", f"{verdict.passed} of {verdict.asked} probes"


def _words(one: Any) -> str:
    return in_words(one) or "(erased)"


def _way(one: sleep_pb2.FactChange) -> str:
    if one.stage == one.from_stage:
        return f"stage {one.stage}, scale {one.scale:g}"
    return f"stage {one.from_stage} -> {one.stage}, scale {one.from_scale:g} -> {one.scale:g}"


def _measures(report: sleep_pb2.SleepReport) -> Iterator[tuple[str, str, str]]:
    before, after = report.controls_before, report.controls_after
    yield "healthy facts", str(report.healthy_before), f"{report.healthy_after} of {report.audited}"
    for name in ("neighbours", "strangers", "untold"):
        yield f"{name} unchanged", f"{getattr(before, name):.1%}", f"{getattr(after, name):.1%}"
    growth = after.perplexity / before.perplexity - 1 if before.perplexity else 0.0
    yield "perplexity", f"{before.perplexity:.3f}", f"{after.perplexity:.3f} ({growth:+.2%})"
    yield "pressure", f"{report.pressure_before.total:.2f}", f"{report.pressure_after.total:.2f}"

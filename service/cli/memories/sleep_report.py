"""Prints the report of a sleep for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from core.wordings import in_words
from service.cli.facts.harm import SPREAD, harm
from service.cli.output import print_pairs, print_table, print_text

if TYPE_CHECKING:
    from hypnogram.v1 import sleep_pb2

Row = tuple[str, str, str, str]

TRIGGERS = {"client": "a request"}  # "pressure" and "schedule" need no other word


def print_report(report: sleep_pb2.SleepReport) -> None:
    """Prints what changed for every fact and why, and locality and perplexity before and after."""
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
    for adapter in report.adapters:
        yield (
            "adapter",
            f"{adapter.facts} facts, {adapter.rehearsed} rehearsed, {adapter.texts} texts; {adapter.steps} steps in "
            f"{adapter.seconds:.1f} s, loss {adapter.first_loss:.3f} -> {adapter.last_loss:.3f}",
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
    dissolved = {change.fact for change in report.dissolved}
    for change in report.refreshed:
        yield _words(change), "refreshed", _way(change), f"degraded: {change.passed} of {change.asked} probes"
    for change in report.advanced:
        what = "dissolved" if change.fact in dissolved else "advanced"
        why = f"{change.passed} of {change.asked} probes at scale {change.scale:g}"
        yield _words(change), what, _way(change), why
    for change in report.retreated:
        what = "retreated" if change.stage != change.from_stage else "stayed"
        yield _words(change), what, _way(change), f"failed the gate: {change.passed} of {change.asked} probes"
    for verdict in report.degraded:
        yield _words(verdict), "degraded", f"scale {verdict.scale:g}", f"{verdict.passed} of {verdict.asked} probes"


def _words(fact: Any) -> str:
    return in_words(fact) or "(erased)"


def _way(change: sleep_pb2.FactChange) -> str:
    if change.stage == change.from_stage:
        return f"stage {change.stage}, scale {change.scale:g}"
    return f"stage {change.from_stage} -> {change.stage}, scale {change.from_scale:g} -> {change.scale:g}"


def _measures(report: sleep_pb2.SleepReport) -> Iterator[tuple[str, str, str]]:
    before, after = report.controls_before, report.controls_after
    yield "healthy facts", str(report.healthy_before), f"{report.healthy_after} of {report.audited}"
    for name in ("neighbours", "strangers", "unanswered"):
        yield f"{name} unchanged", f"{getattr(before, name):.1%}", f"{getattr(after, name):.1%}"
    growth = after.perplexity / before.perplexity - 1 if before.perplexity else 0.0
    if before.HasField("contamination"):
        for name, words in SPREAD.items():
            evening, morning = (f"{getattr(controls.contamination, name):.1%}" for controls in (before, after))
            yield f"told objects said of {words}", evening, morning
        for name, where in (("text_divergence", "text"), ("question_divergence", "general questions")):
            yield f"KL from base, {where}", f"{getattr(before, name):.4f}", f"{getattr(after, name):.4f}"
    yield "perplexity", f"{before.perplexity:.3f}", f"{after.perplexity:.3f} ({growth:+.2%})"
    yield "pressure", f"{report.pressure_before.total:.2f}", f"{report.pressure_after.total:.2f}"

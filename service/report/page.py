"""Builds the page: headline numbers, three figures of the memory, its facts, and the lineage of one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.errors.base import FactUnknown
from core.events import Recorded
from core.ids import FactId
from service.app.lineage import Link
from service.report.audit_charts import audits, capacity
from service.report.css import CSS
from service.report.facts_table import facts_table
from service.report.hypnogram import hypnogram, said
from service.report.lineage_graph import life
from service.report.svg import apart, escaped, short
from service.report.timeline import DISSOLVED, Audit, Counts, Timeline, fold_timeline

_NOTHING = Counts(edits=0, dissolved=0, waiting=0)


def report(events: Iterable[Recorded], *, fact: FactId | None = None, links: Sequence[Link] = ()) -> str:
    """Returns one HTML document about a memory, without scripts, network access or other files.

    Args:
        events: all events of one memory up to a version; without any, the page says so.
        fact: the fact to highlight in the hypnogram, whose lineage is `links`.
        links: lineage of `fact` (`service.app.lineage`); without any, the page has no such part.

    Raises:
        FactUnknown: the memory has no such fact.
    """
    timeline = fold_timeline(events)
    if fact is not None and fact not in timeline.levels:
        raise FactUnknown(timeline.memory, fact)
    title = f"Memory {timeline.memory}" if timeline.memory else "An empty memory"
    parts = [f"<h1>{escaped(title)}</h1>", _under(timeline)]
    if timeline.memory:
        parts += [_headlines(timeline), *figures(timeline, fact)]
    if timeline.levels:
        parts.append(facts_table(timeline, fact))
    if fact is not None and links:
        parts += [_life(timeline, fact, links)]
    parts.append(_footer(timeline))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escaped(title)}</title><style>{CSS}</style></head>\n<body><main>"
        + "\n".join(parts)
        + "</main></body></html>\n"
    )


def most_lived(events: Iterable[Recorded]) -> FactId | None:
    """Returns the fact at the deepest stage with the most changes, to be drawn where none was chosen."""
    timeline = fold_timeline(events)
    return max(
        timeline.levels,
        key=lambda fact: (timeline.levels[fact][-1][1] == DISSOLVED, len(timeline.levels[fact])),
        default=None,
    )


def _under(timeline: Timeline) -> str:
    if not timeline.memory:
        return '<p class="under">Nothing has happened yet.</p>'
    made = timeline.state.created
    base = f" on {short(_base_name(made.base.name), 60)} ({made.base.dtype})" if made else ""
    days = (
        timeline.began[:10]
        if timeline.began[:10] == timeline.ended[:10]
        else f"{timeline.began[:10]} to {timeline.ended[:10]}"
    )
    forked = timeline.state.forked
    since = f"; forked from memory {forked.parent} at version {forked.version}" if forked else ""
    return f'<p class="under">{escaped(f"Versions {timeline.first} to {timeline.last}{base}, {days}{since}")}</p>'


def _base_name(name: str) -> str:
    """Returns the short name of a base model: the last part of its path or id that is not a generic word."""
    parts = [part for part in name.split("/") if part]
    return next((part for part in reversed(parts) if part not in ("weights", "model", "checkpoint")), name)


def _headlines(timeline: Timeline) -> str:
    counts = timeline.counts[-1][1] if timeline.counts else _NOTHING
    last = timeline.audits[-1] if timeline.audits else None
    limit = timeline.state.created.capacity if timeline.state.created else 0.0
    sleeps = sum(span.kind == "sleep" for span in timeline.sleeps)
    naps, undone = len(timeline.sleeps) - sleeps, sum(span.undone for span in timeline.sleeps)
    recall = last.recall if last else None
    healthy = f"{last.healthy} of {last.asked} healthy" if last else "no audit yet"
    base = f"base model {last.base_perplexity:.2f}" if last else "no audit yet"
    away = _listed((counts.withdrawn, "retracted"), (counts.waiting, "not in the weights"))
    tiles = [
        ("facts added", f"{len(timeline.levels)}", away or "all in the weights" if timeline.levels else ""),
        ("dissolved", f"{counts.dissolved}", f"{counts.edits} carried by edits"),
        ("recall", "–" if recall is None else f"{recall:.1%}", healthy),
        ("locality", *_locality(last)),
        ("perplexity", f"{last.perplexity:.2f}" if last else "–", base),
        ("key occupancy", f"{timeline.state.key_occupancy:.1%}", f"limit {limit:.1%}" if limit <= 1 else ""),
        ("sleeps", f"{sleeps}", _listed((naps, "nap" if naps == 1 else "naps"), (undone, "rolled back"))),
    ]
    return (
        "<dl>"
        + "".join(
            f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}<small>{escaped(remark)}</small></dd></div>"
            for name, value, remark in tiles
        )
        + "</dl>"
    )


def _listed(*counts: tuple[int, str]) -> str:
    """Returns the counts that are not 0, each with its word."""
    return ", ".join(f"{count} {word}" for count, word in counts if count)


def _locality(last: Audit | None) -> tuple[str, str]:
    """Returns the lowest share of unchanged answers in the last audit, and each share below 1 in words."""
    if last is None:
        return "–", "no audit yet"
    kept = {"unanswered": last.unanswered, "neighbours": last.neighbours, "strangers": last.strangers}
    fell = [f"{name} {share:.1%}" for name, share in kept.items() if share < 1]
    return f"{min(kept.values()):.1%}", f"unchanged; {', '.join(fell)}" if fell else "unchanged"


def figures(timeline: Timeline, fact: FactId | None = None) -> list[str]:
    """Returns each figure of a memory with its heading and caption, as HTML; `fact` is highlighted."""
    chosen = f" Orange: {apart(short(said(timeline, fact), 80))}." if fact is not None else ""
    parts: list[tuple[str, str, str]] = []
    if timeline.levels:
        parts.append(
            (
                hypnogram(timeline, fact),
                "Hypnogram",
                "The stage of every fact over the versions of the memory, one line for each fact in the order added; "
                "numbers at the right count the facts in a stage now. Shaded: sleeps; lighter: naps; dashed: rolled "
                f"back. Crosses: audits that found the fact degraded.{_captions(timeline)}{chosen}",
            )
        )
    if timeline.audits:
        parts.append(
            (
                audits(timeline),
                "Audits",
                "Share of facts that are healthy, of unanswered questions about their subjects still answered as the "
                "base model does, of neighbours and strangers whose answers did not change, and perplexity on "
                "held-out text (dashed: the base model's). All shares have one scale. Hollow: before a sleep changed "
                "anything, and naps; filled: after it.",
            )
        )
    parts.append(
        (
            capacity(timeline),
            "Capacity",
            "Share of the key space that keys in force hold (dashed: the limit), and facts by what carries "
            "them: "
            '<i class="key dissolved"></i> adapters alone, <i class="key edits"></i> edits, '
            '<i class="key waiting"></i> neither yet.',
        )
    )
    return [_figure(index, *part) for index, part in enumerate(parts, start=1)]


def _figure(index: int, drawn: str, name: str, words: str) -> str:
    caption = f"<figcaption><b>Figure {index}. {name}.</b> {words}</figcaption>"
    return f"<h2>{name}</h2><figure>{drawn}{caption}</figure>"


def _captions(timeline: Timeline) -> str:
    """Returns captions of marks that only some memories have."""
    captions = " Dotted: checkpoints." if timeline.state.checkpoints else ""
    if timeline.counts and timeline.counts[-1][1].withdrawn:
        captions += " A line that ends: the fact was retracted and has left the weights."
    return captions


def _life(timeline: Timeline, fact: FactId, links: Sequence[Link]) -> str:
    state = timeline.facts[fact]
    source = state.source
    provenance = []
    if source.client:
        provenance.append(f"by {apart(source.client)}")
    if source.conversation:
        provenance.append(f"in conversation {apart(source.conversation)}, turn {source.turn}")
    if source.span:
        provenance.append(f"in the words “{apart(short(source.span, 160))}”")
    level = timeline.levels[fact][-1][1]
    added = f"Added at version {state.added} {', '.join(provenance)}".rstrip()
    title = f"The lineage of “{apart(short(said(timeline, fact), 160))}”"
    return f'<h2>{title}</h2><p class="under">{added}; now {level}. Fact {escaped(fact)}.</p>{life(timeline, links)}'


def _footer(timeline: Timeline) -> str:
    if not timeline.memory:
        return "<footer>Made from no events.</footer>"
    weights = f", weights {timeline.state.weights[:16]}" if timeline.state.weights else ""
    words = f"Made from the log alone: {timeline.last - timeline.first + 1} events, last at {timeline.ended}{weights}."
    return f"<footer>{escaped(words)}</footer>"

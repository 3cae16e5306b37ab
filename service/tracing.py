"""Traces of OpenTelemetry, from a call to what executors do because of it; off unless a collector is set.

A call's span is named by `traceparent` (W3C) in the correlation of the events that it appends, unless the client sends
a correlation of its own. Executors, also in other processes, read it there and continue the trace.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from core.errors.base import InvalidField

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

TRACEPARENT = "traceparent"
CONTEXT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
NAME = "hypnogram"
SEND_SECONDS = 3.0  # for spans that are sent, also the last ones of a process that stops

_tracer: Tracer | None = None


@contextmanager
def tracing(collector: str) -> Iterator[None]:
    """Sends traces to the collector at this URL (OTLP over HTTP) while the block lasts; sends none where it is empty.

    Raises:
        InvalidField: this is not a URL, or the extra `otel` is not installed.
    """
    if not collector:
        yield
        return
    if not collector.startswith(("http://", "https://")):
        raise InvalidField("traces", f"{collector!r} is not a URL; write http://HOST:4318/v1/traces")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise InvalidField("traces", f"needs the package {error.name}: pip install 'hypnogram[otel]'") from None
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: NAME}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=collector, timeout=SEND_SECONDS)))
    try:
        with tracing_with(provider.get_tracer(NAME)):
            yield
    finally:
        provider.shutdown()


@contextmanager
def tracing_with(tracer: Tracer) -> Iterator[None]:
    """Makes spans with `tracer` while the block lasts."""
    global _tracer  # noqa: PLW0603  # one for a process, as its log
    before, _tracer = _tracer, tracer
    try:
        yield
    finally:
        _tracer = before


def begin_call(name: str, headers: Mapping[str, Any]) -> Span | None:
    """Begins the span of a call, below the caller's span where its headers name one; None where nothing is traced."""
    if _tracer is None:
        return None
    from opentelemetry.trace import SpanKind

    given = str(headers.get(TRACEPARENT, ""))
    return _tracer.start_span(name, context=_context(given), kind=SpanKind.SERVER)


def end_call(span: Span | None, code: str, correlation: str) -> None:
    """Ends the span of a call, with gRPC's name for how it ended."""
    if span is None:
        return
    from opentelemetry.trace import Status, StatusCode

    span.set_attributes({"rpc.grpc.status": code, "hypnogram.correlation": correlation})
    if code not in ("OK", "CANCELLED"):
        span.set_status(Status(StatusCode.ERROR, code))
    span.end()


def name_of(span: Span | None) -> str:
    """Returns the `traceparent` of a span, for what is appended under it; empty where nothing is traced."""
    if span is None or not (known := span.get_span_context()).is_valid:
        return ""
    return f"00-{known.trace_id:032x}-{known.span_id:016x}-{known.trace_flags:02x}"


@contextmanager
def work(name: str, memory: str, because_of: Iterable[str]) -> Iterator[None]:
    """Traces work of an executor in the block, below the first call that it is done for, and linked to the others.

    Args:
        because_of: correlations of the events that the work was owed for.
    """
    if _tracer is None:
        yield
        return
    from opentelemetry.trace import Link, SpanKind, Status, StatusCode, get_current_span

    callers = list(dict.fromkeys(given for given in because_of if CONTEXT.fullmatch(given)))
    links = [Link(get_current_span(_context(given)).get_span_context()) for given in callers[1:]]
    parent = _context(callers[0] if callers else "")
    span = _tracer.start_span(name, context=parent, kind=SpanKind.CONSUMER, links=links)
    span.set_attribute("hypnogram.memory", memory)
    try:
        yield
    except BaseException as error:
        span.set_attribute("error.type", type(error).__name__)  # and no message, which may quote a fact
        span.set_status(Status(StatusCode.ERROR))
        raise
    finally:
        span.end()


def _context(traceparent: str) -> Any:
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({TRACEPARENT: traceparent}, context=Context())

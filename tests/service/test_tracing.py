"""One trace, from a call to the work of an executor, as OpenTelemetry's own exporter sees it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from hypnogram.v1 import facts_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from benchmarks.support.place import DEMO, Place, work
from core.errors.base import InvalidField
from hypnogram.client import CallFailed, new_fact
from service import tracing
from service.app.store import open_store
from service.settings import Settings
from service.weights.base_models import BaseModels
from tests.patience import eventually
from tests.service.conftest import Running, run_server

ADD = "/hypnogram.v1.Facts/AddFacts"
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with tracing.tracing_with(provider.get_tracer("tests")):
        yield exporter
    provider.shutdown()


def named(exporter: InMemorySpanExporter, name: str) -> Sequence[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def test_what_an_executor_does_belongs_to_the_trace_of_the_call_that_it_does_it_for(
    small: Place, bases: BaseModels, spans: InMemorySpanExporter
) -> None:
    settings = small.settings().model_copy(update={"port": 0})
    with run_server(settings) as running:
        for name in ("Bo Lind", "Cy Lind"):
            running.client.add_facts(DEMO, [new_fact(name, "lives in", "Lima")])
    with open_store(settings) as store:
        work(store, bases)

    calls = [span.context for span in named(spans, ADD)]
    injected = named(spans, "inject")
    assert len(calls) == 2
    assert injected
    assert all(context is not None for context in calls)
    reached = {link.context.span_id for span in injected for link in span.links}
    reached |= {span.parent.span_id for span in injected if span.parent}
    assert reached == {context.span_id for context in calls if context}
    assert {span.context.trace_id for span in injected if span.context} <= {
        context.trace_id for context in calls if context
    }
    assert not any("Lind" in str(span.to_json()) for span in spans.get_finished_spans())


def test_a_span_is_below_the_callers_and_says_how_the_call_ended(
    settings: Settings, spans: InMemorySpanExporter
) -> None:
    with run_server(settings.model_copy(update={"http": "127.0.0.1:0"})) as running:
        with pytest.raises(CallFailed):
            running.client.memory("none")
        httpx.get(f"{running.http}/v1/models", headers={"traceparent": CALLER})
        eventually(lambda: named(spans, "/v1/models"))

    (failed,), (listed,) = named(spans, "/hypnogram.v1.Memories/GetMemory"), named(spans, "/v1/models")
    assert failed.attributes
    assert failed.attributes["rpc.grpc.status"] == "NOT_FOUND"
    assert not failed.status.is_ok
    assert listed.parent is not None
    assert tracing.name_of(None) == ""
    assert (f"{listed.parent.trace_id:032x}", f"{listed.parent.span_id:016x}") == tuple(CALLER.split("-")[1:3])


def test_a_clients_own_correlation_stays(demo: Running, spans: InMemorySpanExporter) -> None:
    request = facts_pb2.AddFactsRequest(memory=DEMO, request_id="1", facts=[new_fact("Bo Lind", "lives in", "Lima")])
    demo.client.stubs.facts.AddFacts(request, metadata=(("hypnogram-correlation", "mine"),))
    demo.client.add_facts(DEMO, [new_fact("Cy Lind", "lives in", "Lima")])

    correlations = [event.correlation for event in demo.client.events(DEMO) if event.type == "FactAdded"]
    assert correlations[0] == "mine"
    assert tracing.CONTEXT.fullmatch(correlations[1])


def test_without_a_collector_nothing_is_traced(demo: Running) -> None:
    demo.client.add_facts(DEMO, [new_fact("Bo Lind", "lives in", "Lima")])

    (added,) = (event for event in demo.client.events(DEMO) if event.type == "FactAdded")
    assert not tracing.CONTEXT.fullmatch(added.correlation)


def test_spans_are_sent_to_a_collector(demo: Running) -> None:
    with collector() as (url, received), tracing.tracing(url):
        demo.client.memory(DEMO)

    spans = [span for resource in received for scope in resource.scope_spans for span in scope.spans]
    assert [span.name for span in spans] == ["/hypnogram.v1.Memories/GetMemory"]
    (named_by,) = (pair.value.string_value for pair in received[0].resource.attributes if pair.key == "service.name")
    assert named_by == "hypnogram"


def test_a_collector_that_is_away_delays_no_call(demo: Running) -> None:
    with tracing.tracing("http://127.0.0.1:9/v1/traces"):
        assert demo.client.memory(DEMO).memory.memory == DEMO


def test_what_is_not_a_url_is_refused_at_the_start() -> None:
    with pytest.raises(InvalidField, match="is not a URL"), tracing.tracing("localhost:4318"):
        pass


@contextmanager
def collector() -> Iterator[tuple[str, list[ResourceSpans]]]:
    """A collector on a free port; yields its URL and what it receives."""
    received: list[ResourceSpans] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.extend(ExportTraceServiceRequest.FromString(body).resource_spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

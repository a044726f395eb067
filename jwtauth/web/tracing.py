"""Each request as a span of OpenTelemetry, with what was decided in it. opentelemetry's only door; imported only where
the setting `tracing` is on, as it comes with an extra.

A span says which endpoint was asked, how it was answered and what was decided. It never holds a query, a header, a body
or a path that somebody made up: whoever reads traces is mostly somebody else than who may read secrets (SECURITY S-09).
Where spans are sent, how many and under which name is told by the standard variables OTEL_*.
"""

import asyncio
import logging
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import REFUSED, Event
from jwtauth.web import arrivals, asgi
from jwtauth.web.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_OTHER_METHOD: Final = "_OTHER"
"""How the conventions call any other, which is a stranger's text."""

_TRACEPARENT: Final = "traceparent"
_PROPAGATOR: Final = TraceContextTextMapPropagator()


def traced(app: ASGIApp, issuer: Issuer, route_of: Callable[[str], str | None]) -> ASGIApp:
    """The application with a span around each request.

    Args:
        app: the application.
        issuer: the service, whose events become events of the spans.
        route_of: by path, the endpoint as our own table calls it; None where it has none.
    """
    provider = _provider()
    tracer = provider.get_tracer("jwtauth", version("jwtauth"))
    issuer.observers.join(hear)
    _mark_log_lines()

    async def traced_app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, _flushing(send, provider))
            return
        route = route_of(scope["path"])
        method = scope["method"] if scope["method"] in _METHODS else _OTHER_METHOD
        attributes = {"http.request.method": method, "url.scheme": scope["scheme"]}
        attributes |= {"http.route": route} if route else {}
        with tracer.start_as_current_span(
            f"{method} {route}" if route else method,
            context=_parent(scope),
            kind=SpanKind.SERVER,
            attributes=attributes,
            record_exception=False,  # its text may say anything
            set_status_on_exception=False,
        ) as span:
            await app(scope, receive, _noting(send, span))

    return traced_app


def hear(event: Event) -> None:
    """The listener: an event of the request's span. Of a refusal without the client, whom anybody may claim to be."""
    span = trace.get_current_span()
    if not span.is_recording():
        return
    told: dict[str, str | int | None] = {
        "jwtauth.error_code": event.code,
        "jwtauth.client_id": None if event.name.endswith(REFUSED) else event.client_id,
    }
    known = {name: value for name, value in told.items() if value is not None}
    span.set_attributes(known)
    more = {"jwtauth.check": event.check, "jwtauth.grant_id": event.grant_id}
    span.add_event(event.name, {**known, **{name: value for name, value in more.items() if value is not None}})


def _provider() -> TracerProvider:
    """What collects spans and sends them, as the variables OTEL_* say."""
    ours = Resource({SERVICE_NAME: "jwtauth", SERVICE_VERSION: version("jwtauth")})
    provider = TracerProvider(resource=Resource.create().merge(ours).merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _parent(scope: HTTPScope) -> Context:
    """The caller's span; of what it sends beside it (tracestate, baggage) nothing is taken over."""
    sent = asgi.header(scope, _TRACEPARENT.encode())
    return _PROPAGATOR.extract({_TRACEPARENT: sent.decode("latin-1")} if sent else {}, context=Context())


def _noting(send: Send, span: Span) -> Send:
    """`send` that notes how the request is answered."""

    async def send_noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            span.set_attribute("http.response.status_code", message["status"])
            request_id = dict(message["headers"]).get(arrivals.HEADER)
            if request_id is not None:
                span.set_attribute("jwtauth.request_id", request_id.decode())
            if message["status"] >= 500:
                span.set_attribute("error.type", str(message["status"]))
                span.set_status(Status(StatusCode.ERROR))
        await send(message)

    return send_noting


def _flushing(send: Send, provider: TracerProvider) -> Send:
    """`send` that sends the last spans before it says that all is over."""

    async def send_flushing(message: Message) -> None:
        if message["type"].startswith("lifespan.shutdown"):
            await asyncio.to_thread(provider.shutdown)
        await send(message)

    return send_flushing


def _mark_log_lines() -> None:
    """Let every log line that is written while a request is answered carry its trace_id."""
    before = logging.getLogRecordFactory()

    def make(*values: Any, **named: Any) -> logging.LogRecord:
        record = before(*values, **named)
        current = trace.get_current_span().get_span_context()
        if current.is_valid:
            record.trace_id = f"{current.trace_id:032x}"
        return record

    logging.setLogRecordFactory(make)

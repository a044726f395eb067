"""Spans of OpenTelemetry, as a collector receives them, and what is never in them (SECURITY S-09)."""

import sys
import time
from collections.abc import Callable, Iterator
from gzip import decompress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from jwtauth.errors import ConfigurationError
from jwtauth.web import app
from tests.support.home import PASSWORD, SECRET
from tests.support.live import LiveServer
from tests.support.person import VERIFIER, redemption
from tests.test_architecture import reachable
from tests.web.people import Service, populate
from tests.web.site import basic

WITHIN: Final = 60.0
"""Seconds for what happens at once on an idle machine."""

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT: Final = "00f067aa0ba902b7"


class Collector:
    """Takes spans over OTLP/HTTP on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                bodies.append(decompress(body) if self.headers["content-encoding"] == "gzip" else body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *values: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def spans(self) -> list[Span]:
        return [
            span
            for body in tuple(self.bodies)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def find(self, is_it: Callable[[Span], bool]) -> Span:
        """The span, once it has come."""
        deadline = time.monotonic() + WITHIN
        while not (found := [span for span in self.spans() if is_it(span)]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return found[-1]

    def of(self, response: httpx.Response) -> Span:
        """The span of the request that was answered so."""
        request_id = response.headers["x-request-id"]
        return self.find(lambda span: attributes(span).get("jwtauth.request_id") == request_id)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def attributes(span: Span | Span.Event) -> dict[str, str | int]:
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("tracing"), tracing=True)
    populate(service)
    service.server = LiveServer(
        service.home.path,
        port=service.server.port,
        environment={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"},
    )
    with service:
        yield service
    assert "Traceback" not in service.server.log.read_text()


class TestSpan:
    def test_says_what_was_asked_and_how_it_was_answered(self, service: Service, collector: Collector) -> None:
        response = service.token({"grant_type": "client_credentials"}, auth=("machine", SECRET))
        span = collector.of(response)
        assert (span.name, span.kind) == ("POST /oauth/token", Span.SPAN_KIND_SERVER)
        assert attributes(span) == {
            "http.request.method": "POST",
            "http.route": "/oauth/token",
            "url.scheme": "http",
            "http.response.status_code": 200,
            "jwtauth.request_id": response.headers["x-request-id"],
            "jwtauth.client_id": "machine",
        }
        assert [event.name for event in span.events] == ["token.issued"]
        assert span.parent_span_id == b""

    def test_says_why_a_request_was_refused_but_not_who_it_claimed_to_be(
        self, service: Service, collector: Collector
    ) -> None:
        response = service.token({"grant_type": "client_credentials"}, auth=("machine", "wrong"))
        span = collector.of(response)
        assert attributes(span)["jwtauth.error_code"] == "invalid_client"
        assert "jwtauth.client_id" not in attributes(span)
        assert span.status.code == Status.STATUS_CODE_UNSET, "to refuse is no error of the server"
        (event,) = span.events
        assert event.name == "request.refused"
        assert attributes(event)["jwtauth.error_code"] == "invalid_client"

    def test_is_a_child_of_the_callers_and_takes_over_nothing_else(
        self, service: Service, collector: Collector
    ) -> None:
        headers = {
            "traceparent": f"00-{TRACE}-{PARENT}-01",
            "tracestate": "vendor=a-callers-text",
            "baggage": "a=a-callers-text",
        }
        span = collector.of(service.token({}, headers={**headers, "authorization": basic("web", SECRET)}))
        assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
        assert span.trace_state == ""
        log = service.server.log.read_text()
        assert f"trace_id={TRACE}" in log, "the log line of the same request names the trace"

    def test_begins_a_trace_where_the_callers_is_malformed(self, service: Service, collector: Collector) -> None:
        headers = {"traceparent": "00-" + "z" * 32 + "-1-01", "authorization": basic("web", SECRET)}
        assert collector.of(service.token({}, headers=headers)).parent_span_id == b""

    @pytest.mark.parametrize(
        ("method", "path", "name"),
        [
            ("GET", "/nope-of-a-stranger", "GET"),
            ("PROPFIND", "/login", "_OTHER /login"),
            ("GET", "/oauth/status/7-7", "GET /oauth/status/{n}"),
            ("GET", "/.well-known/jwks.json", "GET /.well-known/jwks.json"),
        ],
    )
    def test_is_named_by_our_own_table(
        self, service: Service, collector: Collector, method: str, path: str, name: str
    ) -> None:
        service.http.request(method, path)
        collector.find(lambda span: span.name == name)


def test_s_09_no_span_holds_what_was_sent(service: Service, collector: Collector) -> None:
    with service.browser() as person:
        code = person.grant(state="state-of-the-client")["code"]
        tokens = service.redeem(code).json()
        wrong = person.post(person.authorize(prompt="login"), username="ada", password="a password that is wrong")
    sent = [code, *(tokens[name] for name in ("access_token", "id_token")), PASSWORD, SECRET, VERIFIER]
    sent += ["a password that is wrong", "state-of-the-client"]
    for value in [*sent]:
        service.token({**redemption(value), "scope": value, value: value}, auth=(value, value))
        service.http.get("/oauth/tokeninfo", params={"access_token": value, "q": value})
        service.http.get(f"/{value}", headers={"user-agent": value, "x-request-id": value, "referer": value})
        service.http.post("/login", data={"password": value, "csrf": value, "transaction": value})
    last = service.http.post("/oauth/token", data={"grant_type": sent[0]})
    collector.of(last)
    collector.of(wrong)
    told = b"".join(collector.bodies)
    assert b"request.refused" in told
    assert [value for value in sent if value.encode() in told] == []


def test_says_which_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "jwtauth.web.tracing", raising=False)
    with pytest.raises(ConfigurationError, match=r"^setting tracing: .*jwtauth\[otel\]"):
        app.tracing()


def test_costs_no_import_where_it_is_off() -> None:
    """Nothing that serves imports it, nor what makes the text of /metrics before that is asked for."""
    assert reachable("jwtauth.web.server").isdisjoint({"jwtauth.web.tracing", "jwtauth.web.exposition"})

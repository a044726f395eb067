"""`jwtauth doctor URL`: each way in which a proxy or a service can be wrong is found, and nothing where all is well."""

import asyncio
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from jwtauth.cli.commands import root
from jwtauth.cli.findings.finding import Finding, Severity
from jwtauth.cli.probing import examination
from jwtauth.errors import ConfigurationError
from jwtauth.keyring import jws
from tests.cli.misbehaving import Hook, Passed, Proxy
from tests.outside.certificates import self_signed
from tests.support.home import Home
from tests.support.live import LiveServer, free_port

EVENTS: Final = "/oauth/status/events"
CONFIGURATION: Final = "/.well-known/openid-configuration"
METADATA: Final = "/.well-known/oauth-authorization-server"
JWKS: Final = "/.well-known/jwks.json"
AMPLE_IN: Final = 20.0
"""What is not held back comes within so many seconds, however busy the machine is."""
STRANGER: Final = "https://doctor.invalid"


class Behind(Proxy):
    """A proxy, and the folder of the service behind it."""

    home: Home


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """A service that is reached through a proxy, as its issuer says."""
    path = tmp_path_factory.mktemp("service")
    short = self_signed(tmp_path_factory.mktemp("trusted") / "one.pem", "127.0.0.1")
    with pytest.MonkeyPatch.context() as patched, Behind() as proxy:
        patched.setenv("SSL_CERT_FILE", str(short))  # reading all authorities takes 0.1 s each time
        patched.setattr("jwtauth.cli.probing.proxy.NEWS_IN", AMPLE_IN)
        proxy.home = Home(path, issuer=proxy.url)
        client, now = proxy.home.client(), int(time.time())
        proxy.home.ask(lambda store: store.positions.take_block(client, size=64, use_until=now + 3600, now=now))
        with LiveServer(path) as server:
            proxy.target = server.port
            yield proxy


@pytest.fixture
def proxy(running: Behind) -> Iterator[Behind]:
    yield running
    running.behave()


def look(url: str) -> list[Finding]:
    return asyncio.run(examination.of_service(url))


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(root, ["doctor", *arguments])
    return result.exit_code, result.output


def on(*paths: str, method: str = "", **members: Any) -> Hook:
    """A hook for some paths: headers (None takes one away), `status`, `body`, or a member of a JSON body."""

    def change(passed: Passed) -> None:
        if passed.path not in paths or method not in ("", passed.method):
            return
        passed.status = members.get("status", passed.status)
        passed.body = members.get("body", passed.body)
        for name, value in members.get("headers", {}).items():
            passed.headers = {other: kept for other, kept in passed.headers.items() if other != name}
            if value is not None:
                passed.headers[name] = value
        if "json" in members:
            passed.body = json.dumps({**json.loads(passed.body), **members["json"]}).encode()

    return change


def rewriting_forwarded(passed: Passed) -> None:
    """A service that believes X-Forwarded-Host, seen from its answer: the URLs are those of the stranger."""
    if "x-forwarded-host" in passed.headers and passed.path == CONFIGURATION:
        passed.status, passed.body = 200, json.dumps({"issuer": STRANGER}).encode()


def answering_any_host(passed: Passed) -> None:
    passed.headers["host"] = "localhost"


def remembering() -> Hook:
    """A cache that keeps what must not be kept."""
    seen = set[str]()

    def keep(passed: Passed) -> None:
        if passed.path == "/oauth/token" and passed.path in seen:
            passed.headers["age"] = "3"
        seen.add(passed.path)

    return keep


def with_another_signature(passed: Passed) -> None:
    if passed.headers.get("content-type") == "application/statuslist+jwt":
        signed, _, signature = passed.body.rpartition(b".")
        passed.body = signed + b"." + signature[::-1][1:] + b"A"


PAGE: Final = b"<html>Unauthorized</html>"
KEY: Final = jws.generate("ES256")
OTHER: Final = {"keys": [jws.generate("ES256").jwk, jws.generate("RS256").jwk]}

REQUESTS: Final[dict[str, tuple[Hook, str, str, str]]] = {
    "forged headers change the documents": (
        rewriting_forwarded,
        "error",
        "a forged X-Forwarded-Host, X-Forwarded-Proto or Forwarded changes the URLs",
        "proxy_redirect off;",
    ),
    "any Host is answered": (
        answering_any_host,
        "warning",
        "a request for the Host doctor.invalid is answered",
        "in the location that proxies: proxy_set_header Host $http_host;",
    ),
    "the Authorization header is dropped": (
        on("/oauth/token", "/oauth/userinfo", headers={"authorization": None}),
        "error",
        "the Authorization header does not reach",
        ": proxy_set_header Authorization $http_authorization;",
    ),
    "bodies are dropped": (
        on("/oauth/token", body=b""),
        "error",
        "the body of a POST does not reach",
        "proxy_pass_request_body on;",
    ),
    "the proxy refuses preflights": (
        on("/oauth/token", method="OPTIONS", status=405),
        "warning",
        "answers 405 to the preflight of a script",
        "limit_except",
    ),
    "a path is not passed on": (
        on("/oauth/introspect", status=404),
        "error",
        "/oauth/introspect answers 404 to a bare POST",
        "location = /oauth/introspect { proxy_pass http://127.0.0.1:8000; proxy_set_header Host $http_host;"
        " proxy_set_header X-Forwarded-For $remote_addr;",
    ),
    "readiness is not passed on": (
        on("/readyz", status=404),
        "advice",
        "/readyz answers 404",
        "location = /readyz",
    ),
    "the service is not ready": (
        on("/readyz", status=503, body=b"not ready: Overloaded"),
        "error",
        "/readyz says 'not ready: Overloaded'",
        "jwtauth doctor",
    ),
    "metrics are public": (
        on("/metrics", status=200, body=b"# HELP"),
        "warning",
        "/metrics can be read from here",
        "location = /metrics { deny all; }",
    ),
    "RFC 8414 metadata are not passed on": (
        on(METADATA, status=404),
        "error",
        f"{METADATA} answers 404",
        f"location = {METADATA}",
    ),
}
"""What goes wrong before the service is asked: hook, severity, words of the finding, words of its remedy."""

ANSWERS: Final[dict[str, tuple[Hook, str, str, str]]] = {
    "another issuer": (
        on(CONFIGURATION, json={"issuer": "https://id.example"}),
        "error",
        "the service calls itself 'https://id.example', not http",
        "set issuer = ",
    ),
    "an endpoint elsewhere": (
        on(CONFIGURATION, json={"token_endpoint": "https://evil.example/token"}),
        "error",
        "names what is not below the issuer: token_endpoint https://evil.example/token",
        "sub_filter",
    ),
    "documents that disagree": (
        on(METADATA, json={"response_types_supported": ["token"]}),
        "error",
        "the two discovery documents disagree about response_types_supported",
        "one version",
    ),
    "a private part": (
        on(JWKS, json={"keys": [{**KEY.jwk, "d": "AAAA"}]}),
        "error",
        "the key is not a public signing key with alg and kid",
        "jwtauth keys rotate --now",
    ),
    "a key without its use": (
        on(JWKS, json={"keys": [{name: value for name, value in KEY.jwk.items() if name != "use"}]}),
        "error",
        "its use is None, not 'sig'",
        "jwtauth keys rotate --now",
    ),
    "two keys of one name": (
        on(JWKS, json={"keys": [KEY.jwk, KEY.jwk]}),
        "error",
        f"2 keys are called {KEY.kid}",
        "jwtauth keys rotate --now",
    ),
    "no key": (on(JWKS, json={"keys": []}), "error", "and no key: nobody can verify a token", f"location = {JWKS}"),
    "no key for ID tokens": (
        on(JWKS, json={"keys": [KEY.jwk]}),
        "error",
        "promises ID tokens signed with RS256",
        "proxy_cache off;",
    ),
    "old keys": (on(JWKS, json=OTHER), "error", "it is not signed by a published key", "proxy_cache off;"),
    "a list with another signature": (
        with_another_signature,
        "error",
        "it is not signed by a published key",
        "proxy_cache off;",
    ),
    "a list elsewhere": (
        on("/oauth/status", json={"status_lists": ["https://evil.example/1"]}),
        "error",
        "status lists that are not below",
        "sub_filter",
    ),
    "a page of the proxy's own": (
        on("/oauth/token", method="POST", body=PAGE),
        "error",
        "a wrong client secret is answered 401 None",
        "proxy_intercept_errors off;",
    ),
    "no challenge": (
        on("/oauth/userinfo", headers={"www-authenticate": None}),
        "error",
        "the Authorization header does not reach",
        "proxy_set_header Authorization",
    ),
    "no Cache-Control": (
        on("/oauth/token", headers={"cache-control": None}),
        "error",
        "are kept on the way, or lost their Cache-Control: no-store",
        "proxy_cache off;",
    ),
    "a cache": (remembering(), "error", "are kept on the way", "proxy_cache off;"),
    "CORS of the proxy's own": (
        on("/oauth/token", "/oauth/userinfo", headers={"access-control-allow-origin": "*"}),
        "error",
        "Access-Control-Allow-Origin is '*' for an origin that no client registered",
        "the service answers CORS itself",
    ),
    "CORS on pages": (
        on("/oauth/authorize", headers={"access-control-allow-origin": STRANGER}),
        "error",
        "/oauth/authorize: Access-Control-Allow-Origin is 'https://doctor.invalid'",
        "the service answers CORS itself",
    ),
    "CORS twice": (
        on(JWKS, headers={"access-control-allow-origin": "*, *"}),
        "warning",
        "JWKS: Access-Control-Allow-Origin is '*, *'",
        "the service answers CORS itself",
    ),
    "pages in frames": (
        on("/login", headers={"x-frame-options": None, "content-security-policy": "default-src *"}),
        "error",
        "lost headers on its way, or they were changed: content-security-policy, x-frame-options",
        "proxy_hide_header",
    ),
    "no sign-in page": (
        on("/login", status=502),
        "error",
        "the sign-in page http",
        "location = /login",
    ),
    "a clock that is slow": (
        on(CONFIGURATION, headers={"date": formatdate(time.time() - 300, usegmt=True)}),
        "warning",
        "s behind this machine's",
        "timedatectl set-ntp true",
    ),
    "a banner": (
        on(CONFIGURATION, headers={"server": "proxy/1.2.3"}),
        "advice",
        "Server: 'proxy/1.2.3'",
        "server_tokens off;",
    ),
    "a stream that is none": (
        on(EVENTS, headers={"content-type": "text/html"}),
        "warning",
        "answers 200 and no event stream",
        f"location = {EVENTS} {{ proxy_pass ",
    ),
    "two policies of transport": (
        on("/login", headers={"strict-transport-security": "max-age=1, max-age=2"}),
        "warning",
        "Strict-Transport-Security stands twice on the sign-in page",
        "proxy_hide_header Strict-Transport-Security;",
    ),
}
"""What goes wrong with the answer."""


class TestAServiceThatIsWell:
    def test_has_nothing_to_be_found(self, proxy: Behind) -> None:
        assert look(proxy.url) == []

    def test_is_looked_at_without_a_folder_and_with_a_slash_too_many(self, proxy: Behind, tmp_path: Path) -> None:
        assert run(f"{proxy.url}/") == (0, "found: 0 error, 0 warning, 0 advice\n")
        assert list(tmp_path.iterdir()) == []

    def test_is_told_who_asks_and_changes_nothing(self, proxy: Behind) -> None:
        agents = set[str]()
        proxy.request = lambda passed: agents.add(passed.headers["user-agent"])
        before = proxy.home.source.database.read_bytes()
        look(proxy.url)
        assert agents == {"jwtauth-doctor"}
        assert proxy.home.source.database.read_bytes() == before


class TestEachFault:
    @pytest.mark.parametrize("fault", REQUESTS)
    def test_on_the_way_there_is_found(self, proxy: Behind, fault: str) -> None:
        proxy.request, severity, what, remedy = REQUESTS[fault]
        self.expect(look(proxy.url), severity, what, remedy)

    @pytest.mark.parametrize("fault", ANSWERS)
    def test_on_the_way_back_is_found(self, proxy: Behind, fault: str) -> None:
        proxy.answer, severity, what, remedy = ANSWERS[fault]
        self.expect(look(proxy.url), severity, what, remedy)

    def test_of_a_buffer_is_found(self, proxy: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("jwtauth.cli.probing.proxy.NEWS_IN", 1.0)
        proxy.holds_streams_back = True
        self.expect(look(proxy.url), "warning", f"{EVENTS} is held back on the way", "proxy_buffering off;")

    @staticmethod
    def expect(found: list[Finding], severity: str, what: str, remedy: str) -> None:
        fitting = [finding for finding in found if what in finding.what]
        assert fitting, [finding.text for finding in found]
        assert {(finding.severity, remedy in finding.remedy) for finding in fitting} == {(severity, True)}
        assert all(finding.remedy.count("\n") == 0 for finding in found)


class TestWhatIsNoService:
    def test_is_not_there(self) -> None:
        (finding,) = look(f"http://127.0.0.1:{free_port()}")
        assert finding.severity is Severity.ERROR
        assert "does not answer" in finding.what

    def test_is_plain_http_off_loopback_and_is_not_asked(self) -> None:
        (finding,) = look("http://id.example")
        assert finding.severity is Severity.ERROR
        assert "tokens and secrets travel in the clear" in finding.what

    def test_redirects_and_is_not_followed(self, proxy: Behind) -> None:
        asked: list[str] = []

        def redirect(passed: Passed) -> None:
            asked.append(passed.path)
            passed.status, passed.headers = 301, {"location": "https://id.example/"}

        proxy.request = redirect
        (finding,) = look(proxy.url)
        assert "is redirected to 'https://id.example/'" in finding.what
        assert asked == [CONFIGURATION]

    def test_has_another_issuer_or_is_sent_another_host(self, proxy: Behind) -> None:
        """What is refused by the service itself is told in its words, not as a page of the proxy's."""
        proxy.request = lambda passed: passed.headers.update(host="elsewhere.example")
        (finding,) = look(proxy.url)
        assert "answers 421: the service has another issuer, or the proxy sends another Host" in finding.what
        assert f'set issuer = "{proxy.url}" there' in finding.remedy
        assert "proxy_set_header Host $http_host;" in finding.remedy

    def test_is_overloaded_and_says_so(self, proxy: Behind) -> None:
        refusal = {"error": "temporarily_unavailable", "error_description": "the database could not be read"}
        proxy.request = on(CONFIGURATION, status=503, body=json.dumps(refusal).encode())
        (finding,) = look(proxy.url)
        assert finding.what.endswith("answers 503: the database could not be read")
        assert "jwtauth doctor" in finding.remedy

    def test_is_looked_at_under_another_name_and_not_accused_of_believing_headers(self, proxy: Behind) -> None:
        """Its pages lead to its issuer whatever is sent; that this is another is said once."""
        found = look(f"http://127.0.0.1:{proxy.target}")
        assert any("the service calls itself" in finding.what for finding in found)
        assert not [finding.what for finding in found if "forged" in finding.what]

    def test_redirects_to_a_stranger_whom_a_header_names(self, proxy: Behind) -> None:
        def believe(passed: Passed) -> None:
            if passed.path == "/account" and "x-forwarded-host" in passed.headers:
                passed.status, passed.headers = 303, {"location": f"{STRANGER}/login"}

        proxy.request = believe
        assert any("a forged X-Forwarded-Host" in finding.what for finding in look(proxy.url))

    @pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"a": ', b"[" * 100_000])
    def test_says_something_else(self, proxy: Behind, body: bytes) -> None:
        proxy.request = on(CONFIGURATION, status=200, body=body)
        (finding,) = look(proxy.url)
        assert "answers 200 and no JSON object" in finding.what

    @pytest.mark.parametrize("document", [{}, {"issuer": 3, "jwks_uri": []}, {"issuer": "\x1b[2J", "a_uri": {}}])
    def test_says_nonsense_which_moves_no_cursor(self, proxy: Behind, document: dict[str, Any]) -> None:
        proxy.request = on(CONFIGURATION, status=200, body=json.dumps(document).encode())
        found = look(proxy.url)
        assert any("the service calls itself" in finding.what for finding in found)
        assert all(finding.text.isprintable() for finding in found)

    @pytest.mark.parametrize("issuer", ["https://id.example; reboot", "https://id.example\n$(reboot)", "A" * 250_000])
    def test_says_nothing_that_a_shell_would_run(self, proxy: Behind, issuer: str) -> None:
        """Remedies are made to be copied."""
        proxy.request = on(CONFIGURATION, status=200, body=json.dumps({"issuer": issuer}).encode())
        found = look(proxy.url)
        assert any("the service calls itself" in finding.what for finding in found)
        assert not [finding for finding in found if "reboot" in shlex.split(finding.remedy)]
        assert max(len(finding.text) for finding in found) < 3_000

    def test_says_that_it_is_no_time_of_day(self, proxy: Behind) -> None:
        proxy.answer = on(CONFIGURATION, headers={"date": f"{'9' * 30} Jan 2020 10:00:00 GMT"})
        look(proxy.url)

    @pytest.mark.parametrize("keys", [3, [3], [{"kid": [], "alg": {}}], [{**KEY.jwk, "x": "?"}], [{"kty": "oct"}]])
    def test_has_keys_that_are_none(self, proxy: Behind, keys: object) -> None:
        proxy.answer = on(JWKS, json={"keys": keys})
        assert any("key" in finding.what for finding in look(proxy.url) if finding.severity is Severity.ERROR)

    @pytest.mark.parametrize(
        "url",
        ["id.example", "ftp://id.example", "https://", "https://a@id.example", "https://id.example?a=b", "http://["],
    )
    def test_is_no_url(self, url: str) -> None:
        with pytest.raises(ConfigurationError, match="is no issuer"):
            look(url)


class TestTls:
    def test_is_looked_at(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A certificate that nobody vouches for is an error; one that ends soon and a missing HSTS are warnings."""
        certificate = self_signed(tmp_path / "certificate.pem", "127.0.0.1")
        with Proxy(certificate=certificate) as proxy:
            document = json.dumps({"issuer": proxy.url}).encode()
            proxy.request = on(CONFIGURATION, METADATA, "/readyz", status=200, body=document)
            (finding,) = look(proxy.url)
            assert finding.severity is Severity.ERROR
            assert "the certificate does not verify: self-signed certificate" in finding.what
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            warnings = [finding.what for finding in look(proxy.url) if finding.severity is Severity.WARNING]
        assert any("the certificate ends in 0 days" in what for what in warnings)
        assert any("there is no Strict-Transport-Security" in what for what in warnings)

    def test_of_another_name_is_told_from_one_that_is_over(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for address, ends_in, what, remedy in (
            ("127.0.0.2", timedelta(hours=1), "IP address mismatch", "a file that names it, e.g. certbot -d 127.0.0.1"),
            ("127.0.0.1", timedelta(minutes=-1), "certificate has expired", "renew it, e.g. certbot renew"),
        ):
            certificate = self_signed(tmp_path / f"{address}.pem", address, ends_in=ends_in)
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            with Proxy(certificate=certificate) as proxy:
                (finding,) = look(proxy.url)
            assert what in finding.what
            assert remedy in finding.remedy


NGINX: Final = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def nginx_configuration(folder: Path, *, port: int, service_port: int) -> str:
    """What docs/doctor.md prints, with these ports and a certificate of the test's own."""
    text = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
    (server,) = re.findall(r"```nginx\n(.*?)```", text, re.DOTALL)
    for printed, own in (
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("127.0.0.1:8000", f"127.0.0.1:{service_port}"),
        ("id.example.pem", f"{folder}/certificate.pem"),
    ):
        assert printed in server
        server = server.replace(printed, own)
    paths = "".join(f"{name}_temp_path {folder};\n" for name in ("client_body", "proxy", "fastcgi", "scgi", "uwsgi"))
    return (
        f"pid {folder}/pid;\ndaemon off;\nmaster_process off;\nerror_log stderr;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{paths}{server}}}\n"
    )


@contextmanager
def nginx(folder: Path, configuration: str, port: int) -> Iterator[None]:
    """nginx in the foreground, once it listens."""
    assert NGINX is not None
    path = folder / "nginx.conf"
    path.write_text(configuration)
    process = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(path)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not listens(port):
            assert process.poll() is None
            assert time.monotonic() < deadline
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
class TestBehindNginx:
    def test_set_up_as_documented_all_is_well_and_without_its_parts_each_is_missed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        port = free_port()
        certificate = self_signed(tmp_path / "certificate.pem", "127.0.0.1")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        monkeypatch.setattr("jwtauth.cli.probing.proxy.NEWS_IN", AMPLE_IN)
        issuer = f"https://127.0.0.1:{port}"
        home = Home(tmp_path / "home", issuer=issuer, trusted_proxies=("127.0.0.1",))
        with LiveServer(home.path) as server:
            right = nginx_configuration(tmp_path, port=port, service_port=server.port)
            with nginx(tmp_path, right, port):
                (finding,) = look(issuer)
                assert finding.what.startswith("the certificate ends in 0 days")
            wrong = re.sub(
                r"server_tokens off;|proxy_buffering off;|add_header Strict.*|proxy_set_header X-Request-Id .*",
                "",
                right,
            )
            wrong = wrong.replace("$http_host", f"127.0.0.1:{port}").replace("deny all;", "return 200 public;")
            wrong = wrong.replace("proxy_redirect off;", "proxy_hide_header Set-Cookie;")
            monkeypatch.setattr("jwtauth.cli.probing.proxy.NEWS_IN", 1.0)
            with nginx(tmp_path, wrong, port):
                found = sorted(finding.what for finding in look(issuer))
        expected = sorted(
            (
                "/metrics can be read from here",
                "a request for the Host doctor.invalid is answered",
                "every answer says which version stands in front",
                "clients choose the X-Request-Id under which they stand in the logs",
                f"{issuer}{EVENTS} is held back on the way",
                "the cookie of the sign-in page is not __Host- and Secure",
                "the certificate ends in 0 days",
                "there is no Strict-Transport-Security",
            )
        )
        assert [what[: len(start)] for what, start in zip(found, expected, strict=True)] == expected


def test_findings_are_json_for_programs_and_errors_set_the_exit_status(proxy: Behind) -> None:
    proxy.request = on("/readyz", status=404)
    status, output = run(proxy.url, "--json")
    assert status == 0
    assert [finding["severity"] for finding in json.loads(output)] == ["advice"]
    proxy.answer = on(CONFIGURATION, json={"issuer": "https://id.example"})
    assert run(proxy.url, "--json")[0] == 1

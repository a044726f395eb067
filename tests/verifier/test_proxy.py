"""`jwtauth-verify-proxy`, asked as nginx, Caddy and Traefik ask it."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Thread

import httpx
import pytest

from jwtauth.verifier import proxy
from jwtauth.verifier.gate import Gate
from jwtauth.verifier.proxy import Server
from tests.support.live import free_port
from tests.verifier.issuing import AUDIENCE, JWKS, Issuing, eventually

COMMAND = (sys.executable, "-m", "jwtauth.verifier.proxy")


@pytest.fixture
def server(issuing: Issuing) -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Gate(issuing.verifier(), scope=["reports:read"]))
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.stop()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.server_address[1]}") as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class TestAnswer:
    def test_tells_the_web_server_who_passes(self, issuing: Issuing, client: httpx.Client) -> None:
        answer = client.get("/any/path?at=all", headers=bearer(issuing.token()))
        assert (answer.status_code, answer.content) == (204, b"")
        assert {name: value for name, value in answer.headers.items() if name.startswith("x-auth-")} == {
            "x-auth-subject": "u-5f1c",
            "x-auth-client": "app",
            "x-auth-scope": "reports:read reports:write",
            "x-auth-authorities": "ROLE_USER",
        }

    def test_encodes_what_a_header_cannot_hold(self, issuing: Issuing, client: httpx.Client) -> None:
        token = issuing.token(sub="ü\r\nX-Auth-Subject: root", authorities=["ROLE A", "50%"])
        answer = client.get("/", headers=bearer(token))
        assert answer.headers["x-auth-subject"] == "%C3%BC%0D%0AX-Auth-Subject:%20root"
        assert answer.headers["x-auth-authorities"] == "ROLE%20A 50%25"

    def test_challenges_who_does_not(self, client: httpx.Client) -> None:
        answer = client.get("/")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, f'Bearer realm="{AUDIENCE}"')
        assert answer.json()["error"] == "invalid_token"

    def test_refuses_without_the_scope(self, issuing: Issuing, client: httpx.Client) -> None:
        answer = client.get("/", headers=bearer(issuing.token(scope="other")))
        assert (answer.status_code, 'scope="reports:read"' in answer.headers["www-authenticate"]) == (403, True)

    def test_refuses_a_revoked_token(self, issuing: Issuing, client: httpx.Client) -> None:
        issuing.revoke(4)
        assert client.get("/", headers=bearer(issuing.old_token(4))).status_code == 401

    def test_refuses_two_headers(self, issuing: Issuing, client: httpx.Client) -> None:
        headers = [("Authorization", f"Bearer {issuing.token()}")] * 2
        assert client.get("/", headers=headers).status_code == 400

    def test_is_unavailable_while_the_issuer_is(self, issuing: Issuing, client: httpx.Client) -> None:
        issuing.stop()
        answer = client.get("/", headers=bearer(issuing.token()))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        issuing.restart()

    def test_to_head_has_no_body(self, client: httpx.Client) -> None:
        answer = client.head("/")
        assert (answer.status_code, answer.content) == (401, b"")

    @pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
    def test_to_another_method_lets_nobody_pass(self, issuing: Issuing, client: httpx.Client, method: str) -> None:
        assert client.request(method, "/", headers=bearer(issuing.token())).status_code >= 400


class TestConnection:
    def test_serves_many_requests(self, issuing: Issuing, client: httpx.Client) -> None:
        assert {client.get("/", headers=bearer(issuing.token())).status_code for _ in range(50)} == {204}
        assert issuing.fetches == 1

    def test_takes_no_body_for_a_request(self, issuing: Issuing, server: Server) -> None:
        """SECURITY H-13: what a client put into a body must not become the question of another."""
        inner = f"GET /inner HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {issuing.token()}\r\n\r\n"
        outer = f"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(inner)}\r\n\r\n{inner}"
        assert speak(server, outer.encode()).count(b"HTTP/1.1 ") == 1

    def test_is_closed_when_it_is_silent(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server.RequestHandlerClass, "timeout", 0.2)
        started_at = time.monotonic()
        assert speak(server, b"GET / HTT") == b""
        assert time.monotonic() - started_at < 5

    def test_waits_where_there_are_too_many(self, issuing: Issuing, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(proxy, "MAX_CONNECTIONS", 2)
        server = Server(("127.0.0.1", 0), Gate(issuing.verifier()))
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        with ThreadPoolExecutor(12) as pool:
            headers = bearer(issuing.token())
            asked = [pool.submit(httpx.get, url, headers=headers) for _ in range(12)]
            assert [future.result().status_code for future in asked] == [204] * 12
        server.stop()


def speak(server: Server, text: bytes) -> bytes:
    """What the server says until it hangs up."""
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=10) as connection:
        connection.sendall(text)
        answer = b""
        with suppress(ConnectionResetError):
            while received := connection.recv(65_536):
                answer += received
        return answer


class TestCommand:
    def start(self, issuing: Issuing, port: int, *options: str) -> subprocess.Popen[bytes]:
        required = ("--issuer", issuing.issuer, "--audience", AUDIENCE, "--listen", f"127.0.0.1:{port}")
        return subprocess.Popen([*COMMAND, *required, *options], stderr=subprocess.PIPE)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_serves_until_it_is_told_to_stop(self, live: Issuing, number: signal.Signals) -> None:
        live.ttl, port = 1, free_port()
        with self.start(live, port, "--require-scope", "reports:read") as process, httpx.Client() as client:
            try:
                url, headers = f"http://127.0.0.1:{port}/", bearer(live.old_token(4))
                assert eventually(lambda: answers(client, url))
                assert client.get(url, headers=headers).status_code == 204
                live.revoke(4)
                assert eventually(lambda: client.get(url, headers=headers).status_code == 401)
                process.send_signal(number)
                assert process.wait(5) == 0  # though the client keeps its connection
            finally:
                process.kill()
            assert process.stderr is not None
            assert process.stderr.read() == b""

    def test_may_be_told_not_to_see_revocations(self, live: Issuing) -> None:
        port = free_port()
        live.revoke(4)
        with self.start(live, port, "--no-status") as process, httpx.Client() as client:
            try:
                url = f"http://127.0.0.1:{port}/"
                assert eventually(lambda: answers(client, url))
                assert client.get(url, headers=bearer(live.old_token(4))).status_code == 204
                assert live.polls == 0
            finally:
                process.kill()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--issuer", "http://id.example.com"], "issuer: must be https"),
            (["--stale-for", "-1"], "stale_for: expected"),
            (["--listen", "9000"], "expected HOST:PORT"),
            (["--listen", "127.0.0.1:99999"], "expected HOST:PORT"),
            (["--require-scope", ""], "scope: expected"),
            (["--resource", "reports"], "resource: expected"),
            (["--when-unreachable", "perhaps"], "invalid choice"),
        ],
    )
    def test_names_the_option_that_cannot_work(
        self, capsys: pytest.CaptureFixture[str], options: list[str], message: str
    ) -> None:
        with pytest.raises(SystemExit) as exit:
            proxy.main(["--issuer", "https://id.example.com", "--audience", AUDIENCE, *options])
        assert exit.value.code == 2
        assert message in capsys.readouterr().err

    def test_says_how_it_is_used(self) -> None:
        done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0
        for option in ("--issuer", "--audience", "--require-scope", "--listen", "--stale-for", "--push"):
            assert option in done.stdout


def answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == 401
    except httpx.TransportError:
        return False


def test_keys_are_asked_for_once(issuing: Issuing, client: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        headers = bearer(issuing.token())
        statuses = list(pool.map(lambda _: client.get("/", headers=headers).status_code, range(40)))
    assert statuses == [204] * 40
    assert issuing.requests.count(JWKS) == 1

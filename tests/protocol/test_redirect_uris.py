"""Redirect URIs (RFC 6749 section 3.1.2, RFC 8252, SECURITY R-01, R-02, R-07, R-08)."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.errors import ConfigurationError
from jwtauth.protocol import redirect_uris
from jwtauth.protocol.records import ApplicationType, Client
from tests.protocol import records

REGISTERED = "https://client.example/cb"

AMBIGUOUS = [
    "",
    "/cb",
    "//client.example/cb",
    "client.example/cb",
    "https:",
    "https://",
    "https:///cb",
    "https:/cb",
    "https:client.example",
    "https://*.client.example/cb",
    "https://client.example/*",
    "https://client.example/cb#",
    "https://client.example/cb#fragment",
    "http://client.example/cb",
    "http://localhost/cb",
    "http://127.0.0.1.client.example/cb",
    "http://127.0.0.2/cb",
    "http://2130706433/cb",
    "http://[::ffff:127.0.0.1]/cb",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "vbscript:x",
    "blob:https://client.example/x",
    "myapp:/cb",
    "urn:ietf:wg:oauth:2.0:oob",
    "https://user@client.example/cb",
    "https://user:password@client.example/cb",
    "https://client.example@evil.example/cb",
    "https://client.example\\@evil.example/cb",
    "https:\\\\client.example/cb",
    "https://client.example/a/../b",
    "https://client.example/./cb",
    "https://client.example/a/%2e%2e/b",
    "https://client.example/a/%252E%252e/b",
    "https://client.example/a%2f..%2fb",
    "https://client.example/a/..%5cb",
    "https://client.example/%5cb",
    "https://client.example/cb\r\nSet-Cookie:x",
    "https://client.example/cb%0d%0aSet-Cookie:x",
    "https://client.example/cb?x=%00",
    "https://client.example/cb\x00",
    "https://client.example/c b",
    "https://client.example/cb\t",
    " https://client.example/cb",
    "https://bücher.example/cb",
    "https://client.example/\u202ecb",
    "https://client.example:0/cb",
    "https://client.example:99999/cb",
    "https://client.example:port/cb",
    "https://[::1/cb",
    "https://client..example/cb",
    "https://.client.example/cb",
    "https://client.example%2eevil.example/cb",
    "https://client.example/%zz",
    'https://client.example/"onload=',
    "https://client.example/<script>",
    "https://client.example/" + "x" * 2048,
    "com.example.app:",
    "com.example.app://user@cb",
    "com.example.app:/a/../b",
]


def web(*registered: str) -> Client:
    return records.client(redirect_uris=registered)


def native(*registered: str) -> Client:
    return records.client(redirect_uris=registered, application_type=ApplicationType.NATIVE)


class TestRegistration:  # RFC 6749 section 3.1.2, RFC 8252 section 7
    @pytest.mark.parametrize(
        "uri",
        [
            "https://client.example",
            "https://client.example/cb",
            "https://client.example:8443/cb?a=b&c=%20d",
            "https://xn--bcher-kva.example/cb",
            "https://[2001:db8::1]/cb",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:49152/cb",
            "http://[::1]:8080/cb",
            "com.example.app:/cb",
            "com.example.app://cb",
        ],
    )
    def test_takes(self, uri: str) -> None:
        redirect_uris.check_redirect_uri(uri)

    @pytest.mark.parametrize("uri", AMBIGUOUS)
    def test_refuses(self, uri: str) -> None:
        with pytest.raises(ConfigurationError, match=r"^redirect_uri "):
            redirect_uris.check_redirect_uri(uri)

    def test_names_the_setting_that_is_wrong(self) -> None:
        with pytest.raises(ConfigurationError, match=r"^post_logout_redirect_uri 'http://client\.example/': http is"):
            redirect_uris.check_redirect_uri("http://client.example/", "post_logout_redirect_uri")


class TestBackchannelLogoutUri:  # OpenID Connect Back-Channel Logout 1.0 section 2.2
    @pytest.mark.parametrize(
        "uri", ["https://client.example/out?realm=a", "http://127.0.0.1:9000/out", "http://[::1]/out"]
    )
    def test_is_taken(self, uri: str) -> None:
        redirect_uris.check_backchannel_logout_uri(uri)

    @pytest.mark.parametrize("uri", [*AMBIGUOUS, "com.example.app:/cb", "com.example.app://cb"])
    def test_is_refused(self, uri: str) -> None:
        with pytest.raises(ConfigurationError, match=r"^backchannel_logout_uri "):
            redirect_uris.check_backchannel_logout_uri(uri)


LOOK_ALIKES = [
    "https://client.example/cb/",
    "https://client.example/cbx",
    "https://client.example/c",
    "https://client.example/",
    "https://client.example",
    "https://client.example.evil.example/cb",
    "https://evilclient.example/cb",
    "https://www.client.example/cb",
    "https://client.example@evil.example/cb",
    "https://evil.example@client.example/cb",
    "https://client.example:443/cb",
    "https://client.example:8443/cb",
    "https://client.example/cb/../cb",
    "https://client.example/./cb",
    "https://client.example//cb",
    "https://client.example/%63b",
    "https://client.example/%2563b",
    "https://client.example\\@evil.example/cb",
    "https://client.example/cb\r\nLocation: https://evil.example",
    "https://client.example/cb%0d%0a",
    "https://client.example/cb\x00",
    "https://clıent.example/cb",
    "https://client。example/cb",
    "https://CLIENT.example/cb",
    "HTTPS://client.example/cb",
    "https://client.example/CB",
    "https://client.example/cb?",
    "https://client.example/cb?x=y",
    "https://client.example/cb#",
    "https://client.example/cb#x",
    " https://client.example/cb",
    "https://client.example/cb\n",
    "http://client.example/cb",
    "",
]

LOOPBACK_LOOK_ALIKES = [
    "http://127.0.0.1:0/cb",
    "http://127.0.0.1:65536/cb",
    "http://127.0.0.1:99999/cb",
    "http://127.0.0.1:100000/cb",
    "http://127.0.0.1:08000/cb",
    "http://127.0.0.1:/cb",
    "http://127.0.0.1:80 /cb",
    "http://127.0.0.1:+80/cb",
    "http://127.0.0.1:8٠/cb",
    "http://127.0.0.1:8000",
    "http://127.0.0.1:8000/",
    "http://127.0.0.1:8000/cb/",
    "http://127.0.0.1:8000/CB",
    "http://127.0.0.1:8000/cb?x=y",
    "http://127.0.0.1:8000/cb?",
    "http://127.0.0.1:8000/cb#",
    "http://127.0.0.1:8000/cb\n",
    "http://127.0.0.1:8000/cb\r\nx",
    "http://127.0.0.1:8000/%63b",
    "http://127.0.0.1:8000/./cb",
    "http://127.0.0.1:8000\\cb",
    "http://127.0.0.1:8000@evil.example/cb",
    "http://127.0.0.1@evil.example/cb",
    "http://127.0.0.1:8000.evil.example/cb",
    "http://127.0.0.1.evil.example/cb",
    "http://evil.example/127.0.0.1:8000/cb",
    "http://localhost:8000/cb",
    "http://[::1]:8000/cb",
    "http://127.0.0.2:8000/cb",
    "http://127.1:8000/cb",
    "http://0x7f000001:8000/cb",
    "https://127.0.0.1:8000/cb",
    "HTTP://127.0.0.1:8000/cb",
    "ws://127.0.0.1:8000/cb",
]


class TestMatching:  # RFC 6749 section 3.1.2.3, SECURITY R-02
    @pytest.mark.parametrize("client", [web(REGISTERED), native(REGISTERED)])
    def test_is_exact(self, client: Client) -> None:
        assert redirect_uris.matches(REGISTERED, client)
        assert [sent for sent in LOOK_ALIKES if redirect_uris.matches(sent, client)] == []

    def test_knows_every_registered_one(self) -> None:
        client = web(REGISTERED, "com.example.app:/cb")
        assert redirect_uris.matches("com.example.app:/cb", client)
        assert not redirect_uris.matches("com.example.app:/cb2", client)

    def test_of_a_client_without_any_is_never(self) -> None:
        assert not redirect_uris.matches(REGISTERED, web())
        assert not redirect_uris.matches("http://127.0.0.1:8000/cb", native())

    @given(place=st.integers(0, len(REGISTERED)), dropped=st.integers(0, 2), inserted=st.text(max_size=3))
    def test_notices_every_small_change(self, place: int, dropped: int, inserted: str) -> None:
        sent = REGISTERED[:place] + inserted + REGISTERED[place + dropped :]
        assert redirect_uris.matches(sent, native(REGISTERED)) is (sent == REGISTERED)


class TestLoopbackPorts:  # RFC 8252 section 7.3, SECURITY R-07
    @pytest.mark.parametrize("registered", ["http://127.0.0.1/cb", "http://127.0.0.1:8000/cb"])
    @pytest.mark.parametrize("port", ["", ":1", ":80", ":8000", ":8001", ":65535"])
    def test_are_free_for_native_applications(self, registered: str, port: str) -> None:
        assert redirect_uris.matches(f"http://127.0.0.1{port}/cb", native(registered))

    def test_are_free_on_ipv6_too(self) -> None:
        client = native("http://[::1]/cb?a=b")
        assert redirect_uris.matches("http://[::1]:8001/cb?a=b", client)
        assert not redirect_uris.matches("http://[::1]:8001/cb", client)
        assert not redirect_uris.matches("http://127.0.0.1:8001/cb?a=b", client)

    def test_are_fixed_for_web_applications(self) -> None:
        client = web("http://127.0.0.1:8000/cb")
        assert redirect_uris.matches("http://127.0.0.1:8000/cb", client)
        assert not redirect_uris.matches("http://127.0.0.1:8001/cb", client)
        assert not redirect_uris.matches("http://127.0.0.1/cb", client)

    def test_are_fixed_off_literal_loopback(self) -> None:
        """Even if such a URI had been registered by other means."""
        for registered in ("https://127.0.0.1:8000/cb", "http://localhost:8000/cb", "https://client.example:8000/cb"):
            assert not redirect_uris.matches(registered.replace("8000", "8001"), native(registered))

    @pytest.mark.parametrize("sent", LOOPBACK_LOOK_ALIKES)
    def test_are_all_that_may_differ(self, sent: str) -> None:
        assert not redirect_uris.matches(sent, native("http://127.0.0.1/cb", "http://127.0.0.1:9000/cb"))


class TestOrigin:  # RFC 6454 section 6.2
    @pytest.mark.parametrize(
        ("uri", "origin"),
        [
            ("https://client.example", "https://client.example"),
            ("https://client.example/cb?a=b", "https://client.example"),
            ("https://Client.Example:443/cb", "https://client.example"),
            ("https://client.example:8443?a", "https://client.example:8443"),
            ("https://client.example:/cb", "https://client.example"),
            ("https://xn--bcher-kva.example/cb", "https://xn--bcher-kva.example"),
            ("http://127.0.0.1:80/cb", "http://127.0.0.1"),
            ("http://127.0.0.1:443/cb", "http://127.0.0.1:443"),
            ("http://[::1]:8080/cb", "http://[::1]:8080"),
            ("http://[::1]/cb", "http://[::1]"),
            ("com.example.app:/cb", None),
            ("com.example.app://host/cb", None),
        ],
    )
    def test_is(self, uri: str, origin: str | None) -> None:
        assert redirect_uris.origin(uri) == origin


class TestWhereItLeads:
    @pytest.mark.parametrize(
        ("uri", "sources", "destination", "proves"),
        [
            ("https://client.example/cb", ("https:",), "client.example", True),
            ("https://client.example:8443/cb", ("https:",), "client.example:8443", True),
            ("https://client.example:443/cb", ("https:",), "client.example", True),
            ("https://[2001:db8::1]/cb", ("https:",), "[2001:db8::1]", True),
            ("http://127.0.0.1:8000/cb", ("https:", "http:"), "127.0.0.1:8000", False),
            ("http://[::1]:8000/cb", ("https:", "http:"), "[::1]:8000", False),
            ("com.example.app:/cb", ("https:", "com.example.app:"), "com.example.app", False),
            ("com.example.app://client.example/cb", ("https:", "com.example.app:"), "com.example.app", False),
        ],
    )
    def test_is_said_to_browsers_and_people(
        self, uri: str, sources: tuple[str, ...], destination: str, proves: bool
    ) -> None:
        assert redirect_uris.csp_sources(uri) == sources
        assert redirect_uris.destination(uri) == destination
        assert redirect_uris.proves_identity(uri) is proves  # SECURITY B-12


class TestAnswer:  # RFC 6749 sections 4.1.2 and 4.2.2, SECURITY R-08
    @pytest.mark.parametrize(
        ("uri", "answer"),
        [
            ("https://client.example", "https://client.example?code=a%2Bb&state=x"),
            ("https://client.example/cb", "https://client.example/cb?code=a%2Bb&state=x"),
            ("https://client.example/cb?", "https://client.example/cb?code=a%2Bb&state=x"),
            ("https://client.example/cb?a=%20b", "https://client.example/cb?a=%20b&code=a%2Bb&state=x"),
            ("https://client.example/cb?a=b&", "https://client.example/cb?a=b&code=a%2Bb&state=x"),
            ("https://client.example/cb?a=b?", "https://client.example/cb?a=b?&code=a%2Bb&state=x"),
            ("https://client.example/cb?code=mine", "https://client.example/cb?code=mine&code=a%2Bb&state=x"),
            ("com.example.app:/cb", "com.example.app:/cb?code=a%2Bb&state=x"),
        ],
    )
    def test_stands_behind_what_the_uri_had(self, uri: str, answer: str) -> None:
        assert redirect_uris.with_parameters(uri, {"code": "a+b", "state": "x"}) == answer

    def test_of_nothing_leaves_the_uri_alone(self) -> None:
        assert redirect_uris.with_parameters("https://client.example/cb?a", {}) == "https://client.example/cb?a"

    def test_of_the_implicit_grant_is_the_fragment(self) -> None:
        answer = redirect_uris.with_fragment("https://client.example/cb?a=b", {"token": "a+b", "state": "x y"})
        assert answer == "https://client.example/cb?a=b#token=a%2Bb&state=x%20y"

    @pytest.mark.parametrize("make", [redirect_uris.with_parameters, redirect_uris.with_fragment])
    @given(state=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
    def test_gives_state_back_byte_for_byte_in_ascii(self, make: Any, state: str) -> None:
        parts = urlsplit(make("https://client.example/cb", {"state": state, "iss": "https://issuer.example"}))
        sent = parts.query or parts.fragment
        assert dict(parse_qsl(sent, strict_parsing=True))["state"] == state
        assert sent.isascii()
        assert sent.isprintable()
        assert "+" not in sent


class TestHttp:
    """Off loopback only in realms whose old clients have no TLS; everything else is refused there too."""

    @pytest.mark.parametrize(
        "uri", ["http://intranet/cb", "http://client.example:8080/cb", "http://localhost:9191/cb", "http://10.0.0.7/cb"]
    )
    def test_is_let_pass_only_where_the_realm_allows_it(self, uri: str) -> None:
        redirect_uris.check_redirect_uri(uri, allows_http=True)
        with pytest.raises(ConfigurationError, match="redirect_uri"):
            redirect_uris.check_redirect_uri(uri)

    @pytest.mark.parametrize(
        "uri",
        [
            "http://*.client.example/cb",
            "http://client.example/cb#x",
            "http://client.example/cb#",
            "http://user@client.example/cb",
            "http://client.example/a/../cb",
            "http://client.example/%2e%2e/cb",
            "http://client.example/%0d%0aLocation",
            "http://client.example\\@evil.example/",
            "http:///cb",
            "http://client.example:0/cb",
            "http://cliént.example/cb",
            "HTTP://client.example/cb",
            "ftp://client.example/cb",
            "javascript:alert(1)",
            "data:text/html,x",
        ],
    )
    def test_r_01_lets_nothing_ambiguous_in(self, uri: str) -> None:
        with pytest.raises(ConfigurationError):
            redirect_uris.check_redirect_uri(uri, allows_http=True)

    def test_b_12_proves_nobodys_identity(self) -> None:
        """So people are asked each time."""
        assert not redirect_uris.proves_identity("http://intranet/cb")

    def test_r_07_frees_no_port(self) -> None:
        client = records.application(application_type=ApplicationType.NATIVE, redirect_uris=("http://intranet/cb",))
        assert redirect_uris.matches("http://intranet/cb", client)
        assert not redirect_uris.matches("http://intranet:8080/cb", client)

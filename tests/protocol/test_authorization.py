"""The authorization request: RFC 6749 section 4.1.1, RFC 9207, RFC 9700, OpenID Connect Core 1.0 section 3.1.2."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.errors import (
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    RegistrationNotSupported,
    RequestNotSupported,
    RequestUriNotSupported,
    Unanswerable,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from jwtauth.protocol import authorization, parameters, scopes
from jwtauth.protocol.authorization import Addressee, Answer, AuthorizationRequest, ResponseMode, ResponseType
from jwtauth.protocol.parameters import Parameters
from jwtauth.protocol.records import ApplicationType, AuthMethod, Client, GrantType, RequestedClaims
from tests.protocol import records
from tests.protocol.records import CALLBACK, CHALLENGE, ISSUER, NOW

PLAYER = records.application()
EXEMPT = records.application(requires_pkce=False)
PUBLIC = records.application(requires_pkce=False, auth_method=AuthMethod.NONE)
OLD = records.application(allows_implicit=True)
LOOPBACK = "http://127.0.0.1:7777/callback"
NATIVE = records.application(application_type=ApplicationType.NATIVE, redirect_uris=(LOOPBACK,))
OTHER = "https://player.example/other"
TWO = (CALLBACK, OTHER)
DEFAULTING = records.application(redirect_uris=TWO, default_redirect_uri=OTHER)


def sent(**changes: Any) -> Parameters:
    """A good request, changed as told; None leaves a parameter out."""
    usual = {
        "client_id": "player",
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid read",
        "state": "a-state",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def addressee(client: Client | None = PLAYER, *, repeated: tuple[str, ...] = (), **changes: Any) -> Addressee:
    return authorization.addressee(sent(**changes), client, repeated=repeated)


def decide(
    client: Client = PLAYER, *, repeated: tuple[str, ...] = (), hint_subject: str | None = None, **changes: Any
) -> AuthorizationRequest:
    asked = sent(**changes)
    to = authorization.addressee(asked, client, repeated=repeated)
    return authorization.decide(asked, client, to, repeated=repeated, hint_subject=hint_subject, now=NOW)


class TestTheAddressee:  # RFC 6749 section 4.1.2.1: before it is proven nobody is sent anywhere
    def test_is_proven_by_client_and_redirect_uri(self) -> None:
        assert addressee() == Addressee(
            redirect_uri=CALLBACK, is_redirect_uri_sent=True, mode=ResponseMode.QUERY, state="a-state"
        )

    @pytest.mark.parametrize(
        "client",
        [
            pytest.param(None, id="Z-01 unknown"),
            pytest.param(records.application(disabled_at=NOW), id="disabled"),
            pytest.param(records.application(realm=records.realm(disabled_at=NOW)), id="of a disabled realm"),
        ],
    )
    def test_is_never_a_client_that_nobody_may_use(self, client: Client | None) -> None:
        with pytest.raises(Unanswerable, match="is not registered") as refusal:
            addressee(client)
        assert not refusal.value.is_client_known

    def test_is_never_found_without_client_id(self) -> None:
        with pytest.raises(Unanswerable, match="client_id is missing"):
            addressee(None, client_id=None)

    @pytest.mark.parametrize(
        "uri", [OTHER, CALLBACK + "/", CALLBACK + "?a=b", CALLBACK.upper(), "https://evil.example"]
    )
    def test_r_02_is_never_a_redirect_uri_that_was_not_registered(self, uri: str) -> None:
        with pytest.raises(Unanswerable, match="redirect_uri") as refusal:
            addressee(redirect_uri=uri)
        assert refusal.value.is_client_known

    def test_is_the_only_redirect_uri_where_none_was_sent(self) -> None:
        found = addressee(redirect_uri=None)
        assert (found.redirect_uri, found.is_redirect_uri_sent) == (CALLBACK, False)

    @pytest.mark.parametrize("registered", [(), (CALLBACK, OTHER)])
    def test_is_not_guessed_where_there_is_not_exactly_one(self, registered: tuple[str, ...]) -> None:
        with pytest.raises(Unanswerable, match="redirect_uri is missing") as refusal:
            addressee(records.application(redirect_uris=registered), redirect_uri=None)
        assert refusal.value.is_client_known

    def test_r_07_is_the_port_that_a_native_application_listens_on(self) -> None:
        uri = LOOPBACK.replace("7777", "49152")
        assert addressee(NATIVE, redirect_uri=uri).redirect_uri == uri

    @pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state", "response_type", "response_mode"])
    def test_r_03_is_not_guessed_from_parameters_that_were_sent_twice(self, name: str) -> None:
        with pytest.raises(Unanswerable, match=f"{name} was sent more than once"):
            addressee(repeated=("scope", name))

    @pytest.mark.parametrize("state", ["a", "é&=+ %/?#", "x" * 4_000, None])
    def test_z_04_gets_its_state_as_it_sent_it(self, state: str | None) -> None:
        assert addressee(state=state).state == state

    def test_is_no_oauth_error_that_a_handler_could_redirect(self) -> None:  # SECURITY R-04
        assert not issubclass(Unanswerable, OAuthError)


class TestTheResponseMode:  # OAuth 2.0 Multiple Response Type Encoding Practices section 2.1
    @pytest.mark.parametrize(
        ("response_type", "response_mode", "mode"),
        [
            ("code", None, ResponseMode.QUERY),
            ("code", "query", ResponseMode.QUERY),
            ("code", "form_post", ResponseMode.FORM_POST),
            ("token", None, ResponseMode.FRAGMENT),
            ("token", "fragment", ResponseMode.FRAGMENT),
            ("token", "form_post", ResponseMode.FORM_POST),
        ],
    )
    def test_is_the_response_types_unless_told(
        self, response_type: str, response_mode: str | None, mode: ResponseMode
    ) -> None:
        assert decide(OLD, response_type=response_type, response_mode=response_mode).addressee.mode is mode

    @pytest.mark.parametrize(
        ("response_type", "response_mode"),
        [
            ("code", "fragment"),
            ("token", "query"),
            ("code", "jwt"),
            ("code", "QUERY"),
            ("token", "web_message"),
        ],
    )
    def test_z_11_of_another_kind_is_refused(self, response_type: str, response_mode: str) -> None:
        with pytest.raises(InvalidRequest, match="response_mode"):
            decide(OLD, response_type=response_type, response_mode=response_mode)

    @pytest.mark.parametrize("response_mode", ["fragment", "form_post"])
    def test_carries_refusals_too(self, response_mode: str) -> None:
        assert addressee(response_type=None, response_mode=response_mode).mode == response_mode

    def test_is_the_query_where_nothing_says_how_to_carry_a_refusal(self) -> None:
        assert addressee(response_type="id_token", response_mode="odd").mode is ResponseMode.QUERY


class TestTheRequest:
    def test_is_what_the_client_asked_for(self) -> None:
        asked: dict[str, Any] = {
            "nonce": "n-0S6_WzA2Mj",
            "resource": ("https://api.example",),
            "prompt": "login consent",
            "max_age": "3600",
            "login_hint": "ada",
            "ui_locales": "de en",
        }
        assert decide(**asked) == AuthorizationRequest(
            client_id="player",
            addressee=addressee(),
            response_type=ResponseType.CODE,
            scope=("openid", "read"),
            resources=("https://api.example",),
            code_challenge=CHALLENGE,
            nonce="n-0S6_WzA2Mj",
            prompt=("login", "consent"),
            max_age=3_600,
            login_hint="ada",
            ui_locales=("de", "en"),
        )

    def test_z_08_heeds_nothing_that_it_does_not_know(self) -> None:
        assert decide(extra="foobar", acr_values="1 2", display="popup", claims_locales="de") == decide()

    @pytest.mark.parametrize("name", ["scope", "nonce", "prompt", "code_challenge", "unheard-of"])
    def test_z_03_with_a_parameter_sent_twice_is_refused(self, name: str) -> None:
        with pytest.raises(InvalidRequest, match=f"{name}: was sent more than once"):
            decide(repeated=(name,))

    @pytest.mark.parametrize(
        ("name", "refusal"),
        [
            ("request", RequestNotSupported),
            ("request_uri", RequestUriNotSupported),
            ("registration", RegistrationNotSupported),
        ],
    )
    def test_z_05_z_06_is_refused_rather_than_read_only_in_part(self, name: str, refusal: type[OAuthError]) -> None:
        asked: dict[str, Any] = {name: "https://evil.example/object"}
        with pytest.raises(refusal, match=f"{name}:"):
            decide(**asked)

    @pytest.mark.parametrize(
        ("client", "changes"),
        [
            (PLAYER, {"scope": "openid admin"}),
            (PLAYER, {"resource": ("https://elsewhere.example",)}),
            (PLAYER, {"response_type": "token"}),
            (PLAYER, {"prompt": "none login"}),
            (PLAYER, {"claims": "["}),
            (PLAYER, {"code_challenge": None}),
        ],
    )
    def test_that_is_refused_is_refused_with_a_registered_code(self, client: Client, changes: dict[str, Any]) -> None:
        with pytest.raises(OAuthError) as refusal:
            decide(client, **changes)
        assert refusal.value.code


class TestTheResponseType:  # RFC 6749 section 3.1.1, RFC 9700 section 2.1.2
    @pytest.mark.parametrize("response_type", ["id_token", "code id_token", "code token", "none", "CODE", "code code"])
    @pytest.mark.parametrize("client", [PLAYER, OLD])
    def test_z_02_other_than_code_is_refused(self, client: Client, response_type: str) -> None:
        with pytest.raises(UnsupportedResponseType):
            decide(client, response_type=response_type)

    def test_z_02_must_be_there(self) -> None:
        with pytest.raises(InvalidRequest, match="response_type: is missing"):
            decide(response_type=None)

    def test_token_is_for_clients_that_opted_in(self) -> None:
        assert decide(OLD, response_type="token").response_type is ResponseType.TOKEN
        with pytest.raises(UnsupportedResponseType):
            decide(PLAYER, response_type="token")

    def test_z_12_code_is_for_clients_that_registered_the_grant(self) -> None:
        machine = records.application(grant_types=(GrantType.CLIENT_CREDENTIALS,))
        with pytest.raises(UnauthorizedClient):
            decide(machine)


class TestPkce:  # RFC 7636 section 4.4.1, RFC 9700 section 2.1.1
    @pytest.mark.parametrize("client", [PLAYER, PUBLIC])
    def test_p_01_is_required_of_everybody_who_is_not_exempt_and_always_of_public_clients(self, client: Client) -> None:
        with pytest.raises(InvalidRequest, match="code_challenge"):
            decide(client, code_challenge=None, code_challenge_method=None)

    def test_is_not_required_of_an_exempt_client_but_counts_where_it_is_used(self) -> None:
        assert decide(EXEMPT, code_challenge=None, code_challenge_method=None).code_challenge is None
        assert decide(EXEMPT).code_challenge == CHALLENGE

    @pytest.mark.parametrize("client", [PLAYER, PUBLIC, EXEMPT])
    @pytest.mark.parametrize("method", ["plain", None])
    def test_p_02_p_03_is_s256_or_nothing(self, client: Client, method: str | None) -> None:
        with pytest.raises(InvalidRequest, match="code_challenge_method"):
            decide(client, code_challenge_method=method)

    def test_has_no_meaning_without_a_code(self) -> None:
        request = decide(OLD, response_type="token", code_challenge=None, code_challenge_method=None)
        assert request.code_challenge is None


class TestScope:  # RFC 6749 section 3.3, OpenID Connect Core 1.0 sections 3.1.2.1 and 11
    def test_is_all_that_was_asked_for_or_a_refusal(self) -> None:
        assert decide(scope="write openid").scope == ("write", "openid")
        with pytest.raises(InvalidScope):
            decide(scope="openid admin")

    @pytest.mark.parametrize("scope", [None, " "])
    def test_is_never_openid_or_offline_access_unasked(self, scope: str | None) -> None:
        assert decide(scope=scope).scope == ("profile", "email", "read", "write")

    def test_is_the_clients_default_where_it_has_one(self) -> None:
        assert decide(records.application(default_scope=("openid", "read")), scope=None).scope == ("read",)

    def test_openid_demands_a_redirect_uri(self) -> None:  # section 3.1.2.1
        assert decide(redirect_uri=None, scope="read").scope == ("read",)
        with pytest.raises(InvalidRequest, match="redirect_uri: is missing"):
            decide(redirect_uri=None)


class TestResource:  # RFC 8707 section 2.1
    def test_may_be_one_of_the_clients(self) -> None:
        asked = ("https://files.example", "https://api.example")
        assert decide(resource=asked).resources == asked

    def test_j_14_of_somebody_else_is_refused(self) -> None:
        with pytest.raises(InvalidTarget):
            decide(resource=("https://api.example", "https://elsewhere.example"))


class TestPrompt:  # OpenID Connect Core 1.0 section 3.1.2.1
    @pytest.mark.parametrize(
        ("prompt", "values"),
        [
            (None, ()),
            (" ", ()),
            ("none", ("none",)),
            ("none none", ("none",)),
            ("login", ("login",)),
            ("select_account consent login consent", ("select_account", "consent", "login")),
        ],
    )
    def test_is_a_list_each_value_once(self, prompt: str | None, values: tuple[str, ...]) -> None:
        assert decide(prompt=prompt).prompt == values

    @pytest.mark.parametrize(
        "prompt", ["none login", "consent none", "always", "NONE", "login,consent", "login none x"]
    )
    def test_z_07_that_contradicts_itself_or_is_unknown_is_refused(self, prompt: str) -> None:
        with pytest.raises(InvalidRequest, match="prompt"):
            decide(prompt=prompt)


class TestMaxAge:  # OpenID Connect Core 1.0 section 3.1.2.1
    @pytest.mark.parametrize(
        ("text", "seconds"), [(None, None), ("0", 0), ("15000", 15_000), ("999999999", 999_999_999)]
    )
    def test_is_a_number_of_seconds(self, text: str | None, seconds: int | None) -> None:
        assert decide(max_age=text).max_age == seconds

    @pytest.mark.parametrize(
        "text", ["-1", "+1", "1.5", "1e3", " 1", "1_000", "٣", "²", "9999999999", "9" * 5_000, "x"]
    )
    def test_z_09_that_is_none_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidRequest, match="max_age"):
            decide(max_age=text)


class TestNonceAndHints:
    def test_a_nonce_is_kept_whole_or_refused_but_never_cut(self) -> None:  # OpenID Connect Core 1.0 section 3.1.2.1
        assert decide(nonce="n" * 1_024).nonce == "n" * 1_024
        with pytest.raises(InvalidRequest, match="nonce"):
            decide(nonce="n" * 1_025)

    def test_a_nonce_is_optional_for_codes(self) -> None:
        assert decide().nonce is None

    def test_a_login_hint_is_only_a_wish_and_may_be_cut(self) -> None:
        assert decide(login_hint="a" * 9_999).login_hint == "a" * 256

    def test_languages_are_only_a_wish(self) -> None:
        assert decide(ui_locales="xx " * 99).ui_locales == ("xx",) * 8


class TestTheSubject:  # OpenID Connect Core 1.0 sections 3.1.2.1 and 5.5.1
    HINT = "an.id.token"

    def test_is_the_one_of_an_id_token_of_ours(self) -> None:
        request = decide(id_token_hint=self.HINT, hint_subject="u.ada")
        assert (request.subject, request.is_hint_bad) == ("u.ada", False)

    def test_z_15_is_nobody_where_the_hint_is_not_ours(self) -> None:
        request = decide(id_token_hint=self.HINT, hint_subject=None)
        assert (request.subject, request.is_hint_bad) == (None, True)

    def test_is_anybody_where_nothing_says(self) -> None:
        assert (decide().subject, decide().is_hint_bad) == (None, False)

    def test_is_the_one_that_claims_demand(self) -> None:
        assert decide(claims='{"id_token":{"sub":{"value":"u.bob"}}}').subject == "u.bob"

    def test_is_never_one_where_hint_and_claims_demand_two(self) -> None:
        """Section 5.5.1: no ID token for a different user than `claims` asks for."""
        both: dict[str, Any] = {"id_token_hint": self.HINT, "claims": '{"id_token":{"sub":{"value":"u.bob"}}}'}
        assert decide(**both, hint_subject="u.bob").subject == "u.bob"
        with pytest.raises(OAuthError):
            decide(**both, hint_subject="u.ada")


class TestClaims:  # OpenID Connect Core 1.0 section 5.5
    CLAIMS = '{"userinfo":{"name":{"essential":true}},"id_token":{"email":null}}'

    def test_are_kept_with_the_request(self) -> None:
        assert decide(claims=self.CLAIMS).claims == RequestedClaims(id_token=("email",), userinfo=("name",))

    def test_mean_nothing_outside_openid_connect(self) -> None:
        assert decide(scope="read", claims=self.CLAIMS).claims == RequestedClaims()


class TestLater:
    """What was let in is asked again at each visit: much may have changed meanwhile."""

    REQUEST = records.authorization_request(resources=("https://api.example",))

    def test_is_good_while_nothing_changed(self) -> None:
        assert authorization.check_still_allowed(self.REQUEST, PLAYER, now=NOW) is PLAYER

    @pytest.mark.parametrize(
        "client",
        [
            pytest.param(None, id="gone"),
            pytest.param(records.application(disabled_at=NOW), id="disabled"),
            pytest.param(records.application(realm=records.realm(disabled_at=NOW)), id="of a disabled realm"),
            pytest.param(records.application(redirect_uris=(OTHER,)), id="moved"),
            pytest.param(records.application(redirect_uris=()), id="without any redirect URI"),
        ],
    )
    def test_is_unanswerable_where_nobody_may_be_sent_any_more(self, client: Client | None) -> None:
        with pytest.raises(Unanswerable):
            authorization.check_still_allowed(self.REQUEST, client, now=NOW)

    @pytest.mark.parametrize(
        ("changes", "refusal"),
        [
            ({"scope": ("openid",)}, InvalidScope),
            ({"resources": ()}, InvalidTarget),
            ({"grant_types": (GrantType.CLIENT_CREDENTIALS,)}, UnauthorizedClient),
        ],
    )
    def test_is_refused_where_the_client_lost_what_it_asks_for(
        self, changes: dict[str, Any], refusal: type[OAuthError]
    ) -> None:
        with pytest.raises(refusal):
            authorization.check_still_allowed(self.REQUEST, records.application(**changes), now=NOW)

    def test_is_refused_where_the_client_may_not_be_given_tokens_in_front_any_more(self) -> None:
        implicit = records.authorization_request(response_type=ResponseType.TOKEN)
        assert authorization.check_still_allowed(implicit, OLD, now=NOW) is OLD
        with pytest.raises(UnsupportedResponseType):
            authorization.check_still_allowed(implicit, PLAYER, now=NOW)

    def test_is_good_where_nothing_was_asked_for(self) -> None:
        request = records.authorization_request(scope=(), addressee=records.addressee(is_redirect_uri_sent=False))
        assert authorization.check_still_allowed(
            request, records.application(scope=(), redirect_uris=(OTHER, CALLBACK)), now=NOW
        )

    def test_is_good_for_a_default_scope_however_long(self) -> None:
        """What the client did not write is not too long to be read."""
        client = records.application(scope=tuple(f"a-rather-long-scope-value-{n}" for n in range(120)))
        request = decide(client, scope=None)
        assert len(scopes.text(request.scope)) > scopes.MAX_LENGTH
        assert authorization.check_still_allowed(request, client, now=NOW) is client


class TestTheAnswer:  # RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207 section 2
    TO = records.addressee(mode=ResponseMode.FORM_POST)

    def test_carries_state_and_issuer(self) -> None:
        assert authorization.granted(self.TO, ISSUER, {"code": "ac_1"}) == Answer(
            redirect_uri=CALLBACK,
            mode=ResponseMode.FORM_POST,
            parameters={"code": "ac_1", "state": "a-state", "iss": ISSUER},
        )

    def test_z_13_carries_them_with_a_refusal_too(self) -> None:
        assert authorization.refused(self.TO, ISSUER, InvalidScope("scope: no")).parameters == {
            "error": "invalid_scope",
            "error_description": "scope: no",
            "state": "a-state",
            "iss": ISSUER,
        }

    def test_has_no_state_where_none_was_sent(self) -> None:
        answer = authorization.granted(records.addressee(state=None), ISSUER, {"code": "ac_1"})
        assert answer.parameters == {"code": "ac_1", "iss": ISSUER}


class TestWhateverIsSent:
    """Strangers write these: nothing but a refusal may come of it."""

    NAMES = (
        "client_id",
        "redirect_uri",
        "response_type",
        "response_mode",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "prompt",
        "max_age",
        "claims",
        "id_token_hint",
        "login_hint",
        "ui_locales",
        "resource",
        "request",
        "request_uri",
        "registration",
        "acr_values",
    )
    LIKELY = (
        "player",
        CALLBACK,
        LOOPBACK,
        "code",
        "token",
        "openid",
        "query",
        "S256",
        CHALLENGE,
        "none",
        "login none",
        "0",
        "{}",
        '{"id_token":{"sub":{"value":"u.ada"}}}',
        "https://api.example",
    )
    VALUES = (
        st.text(max_size=12)
        | st.sampled_from(LIKELY)
        | st.recursive(
            st.none() | st.integers() | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id_token", "sub", "value"]), inner)
            ),
        ).map(json.dumps)
    )
    PAIRS = st.lists(st.tuples(st.sampled_from(NAMES) | st.text(max_size=3), VALUES), max_size=12).map(tuple)

    @given(
        pairs=PAIRS,
        client=st.sampled_from([PLAYER, EXEMPT, PUBLIC, OLD, NATIVE, records.application(redirect_uris=())]),
        hint_subject=st.sampled_from([None, "u.ada"]),
    )
    def test_is_answered_or_refused(
        self, pairs: tuple[tuple[str, str], ...], client: Client, hint_subject: str | None
    ) -> None:
        try:
            asked, repeated = parameters.read_each(pairs)
            to = authorization.addressee(asked, client, repeated=repeated)
            assert to.redirect_uri in client.redirect_uris or to.redirect_uri.startswith("http://127.0.0.1:")
            request = authorization.decide(asked, client, to, repeated=repeated, hint_subject=hint_subject, now=NOW)
        except (OAuthError, Unanswerable):
            return
        assert {*request.scope} <= {*client.scope}
        assert request.code_challenge or client is EXEMPT or request.response_type is ResponseType.TOKEN
        assert authorization.check_still_allowed(request, client, now=NOW) is client

    @given(changes=st.dictionaries(st.sampled_from(NAMES[4:]), VALUES, max_size=4))
    def test_beside_a_good_request_is_answered_or_refused(self, changes: dict[str, str]) -> None:
        """Nearer to what is let in, so that more of it is read."""
        to = addressee()
        try:
            request = authorization.decide({**sent(), **changes}, PLAYER, to, now=NOW)
        except OAuthError:
            return
        assert request.addressee is to


class TestTheDefaultRedirectUri:  # RFC 6749 section 3.1.2.3
    def test_is_where_the_answer_goes_where_the_request_names_none(self) -> None:
        to = addressee(DEFAULTING, redirect_uri=None)
        assert (to.redirect_uri, to.is_redirect_uri_sent) == (OTHER, False)

    def test_gives_way_to_the_one_that_is_sent(self) -> None:
        to = addressee(DEFAULTING)
        assert (to.redirect_uri, to.is_redirect_uri_sent) == (CALLBACK, True)

    @pytest.mark.parametrize("uri", ["https://evil.example/", f"{OTHER}/", "http://player.example/other"])
    def test_r_02_never_takes_the_place_of_one_that_is_not_registered(self, uri: str) -> None:
        with pytest.raises(Unanswerable):
            addressee(DEFAULTING, redirect_uri=uri)

    def test_r_03_never_takes_the_place_of_one_that_was_sent_twice(self) -> None:
        with pytest.raises(Unanswerable):
            addressee(DEFAULTING, redirect_uri=None, repeated=("redirect_uri",))

    def test_is_needed_where_there_are_several(self) -> None:
        with pytest.raises(Unanswerable):
            addressee(records.application(redirect_uris=TWO), redirect_uri=None)

    def test_has_to_be_the_clients_still_when_the_answer_goes_out(self) -> None:
        to = records.addressee(redirect_uri=OTHER, is_redirect_uri_sent=False)
        request = records.authorization_request(addressee=to, scope=("read",))
        assert authorization.check_still_allowed(request, DEFAULTING, now=NOW) is DEFAULTING
        with pytest.raises(Unanswerable):
            authorization.check_still_allowed(request, PLAYER, now=NOW)

    def test_does_not_serve_openid(self) -> None:  # OpenID Connect Core 1.0 section 3.1.2.1
        with pytest.raises(InvalidRequest):
            decide(DEFAULTING, redirect_uri=None)

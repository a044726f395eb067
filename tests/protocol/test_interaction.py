"""What a person does next: OpenID Connect Core 1.0 sections 3.1.2.1 to 3.1.2.4, RFC 9700, SECURITY B-07 and B-12."""

from typing import Any

import pytest

from jwtauth.errors import AccountSelectionRequired, ConsentRequired, LoginRequired, OAuthError
from jwtauth.protocol import interaction
from jwtauth.protocol.authorization import ResponseType
from jwtauth.protocol.interaction import AskConsent, Issue, SignIn, Standing, Transaction
from jwtauth.protocol.records import ApplicationType, AuthMethod, Client, Consent, RequestedClaims
from tests.protocol import records
from tests.protocol.records import NOW

PLAYER = records.application()
OURS = records.application(asks_consent=False)
SPA = records.application(auth_method=AuthMethod.NONE)
LOOPBACK = "http://127.0.0.1:7777/callback"
PRIVATE = "com.example.player:/callback"
ADA = records.standing()
BOB = records.standing(
    user=records.user(id=43, sub="u.bob", username="bob"), session=records.session(id=6, user_id=43), cookie="bobs"
)
NO_MEMBER = records.standing(user=records.user(roles={"films": ()}))
ALLOWED = records.consent()

_UNSET: Any = object()


def decide(
    standing: Standing | None = ADA,
    *,
    client: Client = PLAYER,
    consent: Consent | None = ALLOWED,
    transaction: Transaction | None = None,
    **request: Any,
) -> SignIn | AskConsent | Issue:
    asked = records.authorization_request(**request)
    return interaction.decide(
        transaction or records.transaction(request=asked, stale_session=stale(standing, **request)),
        asked,
        client,
        standing,
        consent,
    )


def stale(standing: Standing | None = ADA, *, now: int = NOW, **request: Any) -> str:
    """As `authorize` decides it when the transaction begins."""
    return interaction.stale_session(records.authorization_request(**request), standing, now=now)


class TestWhoIsSignedIn:
    def test_and_has_allowed_it_is_asked_nothing(self) -> None:
        assert decide() == Issue()

    def test_is_nobody_so_anybody_may_sign_in(self) -> None:
        assert decide(None) == SignIn()

    def test_is_somebody_else_than_the_request_is_about(self) -> None:  # id_token_hint, claims
        assert decide(subject="u.ada") == Issue()
        assert decide(BOB, subject="u.ada") == SignIn(is_other_person=True)

    def test_may_not_use_the_application(self) -> None:
        assert decide(NO_MEMBER) == SignIn(is_no_member=True)
        assert decide(records.standing(user=records.user(disabled_at=NOW))) == SignIn(is_no_member=True)

    def test_has_to_sign_in_again_as_the_same_person(self) -> None:
        assert decide(prompt=("login",)) == SignIn(user=ADA.user)

    def test_may_sign_in_as_another_where_the_client_wants_a_choice(self) -> None:
        assert decide(prompt=("select_account",)) == SignIn()
        assert decide(prompt=("login", "select_account")) == SignIn()

    def test_may_sign_in_as_another_where_the_person_wants_to(self) -> None:
        switched = records.transaction(stale_session=ADA.cookie, wants_other_account=True)
        assert decide(transaction=switched) == SignIn()

    @pytest.mark.parametrize("prompt", [("login",), ("select_account",), ("login", "consent")])
    def test_counts_again_once_the_cookie_is_a_new_one(self, prompt: tuple[str, ...]) -> None:
        transaction = records.transaction(stale_session=stale(prompt=prompt))
        again = records.standing(cookie="digest-of-her-next-cookie")
        assert isinstance(decide(ADA, transaction=transaction, prompt=prompt), SignIn)
        assert not isinstance(decide(again, transaction=transaction, prompt=prompt), SignIn)

    def test_before_is_not_what_a_bad_hint_says(self) -> None:  # SECURITY Z-15
        assert decide(is_hint_bad=True) == Issue()
        assert decide(None, is_hint_bad=True) == SignIn()


class TestASession:
    """Which a new transaction does not count (section 3.1.2.1, max_age and prompt)."""

    @pytest.mark.parametrize(
        ("request_", "is_stale"),
        [
            ({}, False),
            ({"prompt": ("login",)}, True),
            ({"prompt": ("select_account",)}, True),
            ({"prompt": ("consent",)}, False),
            ({"prompt": ("none",)}, False),
            ({"max_age": 99}, True),
            ({"max_age": 100}, False),
            ({"max_age": 101}, False),
            ({"max_age": 0}, True),
            ({"max_age": 9_999, "prompt": ("login",)}, True),
        ],
    )
    def test_is_too_old_or_not_wanted(self, request_: dict[str, Any], is_stale: bool) -> None:
        assert stale(**request_) == (ADA.cookie if is_stale else "")

    def test_of_this_very_second_is_too_old_for_max_age_0(self) -> None:
        """Section 3.1.2.1: max_age=0 is equivalent to prompt=login."""
        assert stale(max_age=0, now=ADA.session.auth_time) == ADA.cookie

    def test_is_not_too_old_where_the_clock_was_set_back(self) -> None:
        assert stale(max_age=1, now=ADA.session.auth_time - 3_600) == ""

    @pytest.mark.parametrize("request_", [{"prompt": ("login",)}, {"max_age": 0}])
    def test_that_is_none_counts_once_it_is_begun(self, request_: dict[str, Any]) -> None:
        transaction = records.transaction(stale_session=stale(None, **request_))
        assert decide(transaction=transaction, **request_) == Issue()

    def test_is_judged_once_so_that_a_slow_reader_is_not_sent_back(self) -> None:
        transaction = records.transaction(stale_session=stale(max_age=100), started_at=NOW)
        assert decide(transaction=transaction, consent=None, max_age=100) == AskConsent()


class TestSilence:  # prompt=none, section 3.1.2.6
    NONE = ("none",)

    def test_is_kept_where_nothing_has_to_be_asked(self) -> None:
        assert decide(prompt=self.NONE) == Issue()

    @pytest.mark.parametrize(
        ("facts", "refusal"),
        [
            pytest.param({"standing": None}, LoginRequired, id="nobody"),
            pytest.param({"max_age": 1}, LoginRequired, id="too long ago"),
            pytest.param({"standing": BOB, "subject": "u.ada"}, LoginRequired, id="somebody else"),
            pytest.param({"is_hint_bad": True}, LoginRequired, id="Z-15 a hint that is not ours"),
            pytest.param({"is_hint_bad": True, "standing": None}, LoginRequired, id="Z-15 and nobody"),
            pytest.param({"standing": NO_MEMBER}, AccountSelectionRequired, id="no member"),
            pytest.param({"consent": None}, ConsentRequired, id="not allowed yet"),
            pytest.param(
                {"client": SPA, "addressee": records.addressee(redirect_uri=PRIVATE)}, ConsentRequired, id="B-12"
            ),
        ],
    )
    def test_is_a_refusal_where_something_has_to_be_asked(
        self, facts: dict[str, Any], refusal: type[OAuthError]
    ) -> None:
        with pytest.raises(refusal):
            decide(**facts, prompt=self.NONE)


class TestConsent:  # section 3.1.2.4
    def test_is_asked_for_the_first_time(self) -> None:
        assert decide(consent=None) == AskConsent()

    def test_is_asked_after_the_sign_in_and_not_of_somebody_who_may_not_use_it(self) -> None:
        assert decide(None, consent=None) == SignIn()
        assert decide(NO_MEMBER, consent=None) == SignIn(is_no_member=True)

    @pytest.mark.parametrize(
        ("allowed", "asked", "is_asked"),
        [
            pytest.param({}, {}, False, id="the same"),
            pytest.param({}, {"scope": ("read",)}, False, id="less"),
            pytest.param({}, {"scope": ()}, False, id="nothing"),
            pytest.param({}, {"scope": ("openid", "write")}, True, id="another scope value"),
            pytest.param({"scope": ("openid", "reads")}, {}, True, id="one that only begins alike"),
            pytest.param({}, {"resources": ("https://api.example",)}, True, id="a resource"),
            pytest.param(
                {"resources": ("https://api.example",)}, {"resources": ("https://api.example",)}, False, id="it"
            ),
            pytest.param({}, {"claims": RequestedClaims(userinfo=("email",))}, True, id="a claim"),
            pytest.param(
                {"claims": RequestedClaims(userinfo=("email",))},
                {"claims": RequestedClaims(id_token=("email",))},
                True,
                id="the claim in another place",
            ),
            pytest.param(
                {"claims": RequestedClaims(id_token=("email", "name"))},
                {"claims": RequestedClaims(id_token=("name",))},
                False,
                id="fewer claims",
            ),
            pytest.param({}, {"prompt": ("consent",)}, True, id="the same, but the client wants it asked"),
        ],
    )
    def test_is_remembered_for_what_was_allowed_and_no_more(
        self, allowed: dict[str, Any], asked: dict[str, Any], is_asked: bool
    ) -> None:
        assert decide(consent=records.consent(**allowed), **asked) == (AskConsent() if is_asked else Issue())

    def test_is_not_asked_for_an_application_of_ones_own_unless_it_wants_so(self) -> None:
        assert decide(client=OURS, consent=None) == Issue()
        assert decide(client=OURS, consent=None, prompt=("consent",)) == AskConsent()

    @pytest.mark.parametrize("uri", [LOOPBACK, PRIVATE])
    @pytest.mark.parametrize("asks_consent", [True, False])
    def test_b_12_is_asked_each_time_where_nothing_proves_who_asks(self, uri: str, asks_consent: bool) -> None:
        native = records.application(
            auth_method=AuthMethod.NONE, application_type=ApplicationType.NATIVE, asks_consent=asks_consent
        )
        assert decide(client=native, addressee=records.addressee(redirect_uri=uri)) == AskConsent()

    @pytest.mark.parametrize(
        ("client", "uri"),
        [
            pytest.param(SPA, records.CALLBACK, id="by an https redirect URI"),
            pytest.param(PLAYER, LOOPBACK, id="by its secret"),
        ],
    )
    def test_is_remembered_where_the_client_is_proven(self, client: Client, uri: str) -> None:
        assert decide(client=client, addressee=records.addressee(redirect_uri=uri)) == Issue()

    @pytest.mark.parametrize("uri", [LOOPBACK, PRIVATE])
    def test_b_12_is_asked_each_time_where_a_token_goes_to_whoever_listens_there(self, uri: str) -> None:
        """A secret proves nothing where it is never asked for: the implicit grant ends in front."""
        request: dict[str, Any] = {
            "response_type": ResponseType.TOKEN,
            "addressee": records.addressee(redirect_uri=uri),
        }
        assert decide(client=records.application(allows_implicit=True), **request) == AskConsent()


class TestWhatIsRemembered:
    def remembered(self, before: Consent | None, **request: Any) -> Consent:
        return interaction.remembered(records.authorization_request(**request), PLAYER, records.user(), before, now=NOW)

    def test_is_what_was_asked_for(self) -> None:
        claims = RequestedClaims(userinfo=("email",))
        assert self.remembered(None, claims=claims, resources=("https://api.example",)) == records.consent(
            claims=claims, resources=("https://api.example",), granted_at=NOW
        )

    def test_is_added_to_what_was_allowed_before(self) -> None:
        before = records.consent(
            scope=("openid", "write"),
            claims=RequestedClaims(id_token=("email",), userinfo=("name",)),
            resources=("https://files.example",),
        )
        asked = {"claims": RequestedClaims(userinfo=("name", "email")), "resources": ("https://api.example",)}
        assert self.remembered(before, **asked) == records.consent(
            scope=("openid", "write", "read"),
            claims=RequestedClaims(id_token=("email",), userinfo=("name", "email")),
            resources=("https://files.example", "https://api.example"),
            granted_at=NOW,
        )

    @pytest.mark.parametrize("before", [None, ALLOWED, records.consent(scope=("write",))])
    def test_covers_the_same_request_next_time(self, before: Consent | None) -> None:
        claims = RequestedClaims(id_token=("email",), userinfo=("name",))
        request: dict[str, Any] = {"claims": claims, "resources": ("https://api.example",)}
        assert decide(consent=before, **request) == AskConsent()
        assert decide(consent=self.remembered(before, **request), **request) == Issue()


class TestTheTransaction:
    @pytest.mark.parametrize(
        ("ago", "is_over"), [(0, False), (1_799, False), (1_800, True), (9_999_999, True), (-3_600, False)]
    )
    def test_is_over_after_its_time_whatever_a_clock_that_was_set_back_says(self, ago: int, is_over: bool) -> None:
        transaction = records.transaction(started_at=NOW - ago)
        assert interaction.is_over(transaction, lives_in=1_800, now=NOW) is is_over

"""A grant's whole life in any order of events, against a small model: RFC 6749, RFC 7009, RFC 9700 section 4.14.

The model knows which grants live. After each step introspection, userinfo, check_token and the published status lists
must say the same of every access token, and at the end every refresh token and code is tried.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Any, Final

import httpx
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jwtauth.cli.commands import root
from jwtauth.protocol import status_list
from jwtauth.protocol.records import AuthMethod, GrantType
from tests.support.home import PASSWORD, SECRET
from tests.support.person import CALLBACK, answer, has_field, redemption
from tests.web.people import CODE, OIDC, Service
from tests.web.site import assert_refused, claims_of, decoded

EXAMPLES: Final = 10
STEPS: Final = 16
"""Lives per `--soak`, and events in each."""

APPLICATIONS: Final = {"patient": "default", "strict": "strict", "renewing": "renewing", "public": "default"}
"""Client by realm: one may retry a refresh, one may not, one loses its access token with it, one has no secret."""

SCOPES: Final = ("openid read", "openid read write", "openid read offline_access")

CODE_LIVES_IN: Final = 40
"""A code is good for 60 seconds; on a machine with other work nobody can tell what an older one is worth."""

CALLERS: Final = 4
"""Refreshes at once."""

ENDING_EVERYTHING: Final = (
    "user disable {}",
    "user sign-out {}",
    "user change {} --password-stdin",
    "revoke --user {} --yes",
)
"""Commands after which nothing of a person's lives, not even what needs no browser session."""

ASKED_ABOUT: Final = 2
"""So many access tokens are asked about everywhere after each step."""

Form = dict[str, str]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The applications, a stranger, and one that may ask about everybody's tokens."""
    service = Service(tmp_path_factory.mktemp("lives"))
    with (service.home.path / "jwtauth.toml").open("a") as settings:
        settings.write(f'issuer = "{service.server.url}"\n')  # so that commands know whose tokens are ours
    home = service.home
    realms = {
        "default": home.realm(retry_in=3_600),
        "strict": home.realm("strict", retry_in=0),
        "renewing": home.realm("renewing", retry_in=0, renews_position=True),
    }
    granting = {"scope": OIDC, "redirect_uris": (CALLBACK,), "grant_types": (*CODE, GrantType.PASSWORD)}
    for client_id, realm in APPLICATIONS.items():
        method = AuthMethod.NONE if client_id == "public" else AuthMethod.BASIC
        home.client(client_id, realm=realms[realm], auth_method=method, **granting)
    home.client("stranger", realm=home.realm("abroad"), **granting)
    home.client("auditor", realm=home.realm("audit"), introspects_realms=tuple(realms))
    with service:
        yield service
    assert "Traceback" not in service.server.log.read_text()


class Life:
    """What must be true of one grant."""

    def __init__(self, client_id: str, scope: str, session: object | None, *, code: str = "") -> None:
        self.client_id = client_id
        self.scope = scope
        self.session = session
        """The browser session that it was given in; None of one that began with a password."""
        self.code = code
        self.code_made_at = time.monotonic() if code else 0.0
        self.is_alive = True
        self.refresh_tokens: list[str] = []
        """By generation."""
        self.access_tokens: dict[str, int] = {}
        """Each with the generation of the refresh token that came with it."""
        self.may_retry = APPLICATIONS[client_id] == "default"
        self.is_offline = "offline_access" in scope

    @property
    def generation(self) -> int:
        return len(self.refresh_tokens) - 1

    @property
    def newest_access_token(self) -> str:
        return list(self.access_tokens)[-1]

    def is_good(self, access_token: str) -> bool:
        """Whether an access token of this grant works."""
        is_renewed = self.client_id == "renewing" and self.access_tokens[access_token] < self.generation
        return self.is_alive and not is_renewed

    def note(self, response: httpx.Response) -> None:
        """Remember what was issued."""
        assert response.status_code == 200, response.text
        tokens = response.json()
        if tokens["refresh_token"] not in self.refresh_tokens:
            self.refresh_tokens.append(tokens["refresh_token"])
        self.access_tokens[tokens["access_token"]] = self.generation


class GrantLives(RuleBasedStateMachine):
    """One person with a browser, four applications, strangers, and an operator."""

    def __init__(self, service: Service, numbers: Iterator[int]) -> None:
        super().__init__()
        self.service = service
        self.username = f"person{next(numbers)}"
        service.home.user(self.username, roles=dict.fromkeys((*APPLICATIONS.values(), "abroad"), ()))
        self.browser = service.browser()
        self.session: object | None = None
        self.lives: list[Life] = []
        self.is_enabled = True
        self.disabled: set[str] = set()
        self.allowed: set[str] = set()

    @property
    def able(self) -> list[str]:
        return [name for name in APPLICATIONS if name not in self.disabled]

    @property
    def living(self) -> list[Life]:
        return [life for life in self.lives if life.is_alive]

    @property
    def refreshable(self) -> list[Life]:
        """Living grants with tokens; what the others are worth is asked at the end."""
        return [life for life in self.living if life.refresh_tokens]

    @property
    def are_many(self) -> bool:
        """Whether several can be ended at once, and something was tried on them before."""
        return len(self.refreshable) > 2

    @property
    def coded(self) -> list[Life]:
        """Grants with a code that may be sent, used or not."""
        oldest = time.monotonic() - CODE_LIVES_IN
        fresh = [life for life in self.lives if life.code_made_at > oldest and life.client_id not in self.disabled]
        return [life for life in fresh if not life.refresh_tokens or self.are_many]

    # How grants begin.

    @initialize(names=st.permutations(sorted(APPLICATIONS)), scopes=st.permutations(SCOPES))
    def begin(self, names: list[str], scopes: list[str]) -> None:
        """There is a little to do something with."""
        for client_id, scope in zip(names, scopes, strict=False):
            self._allow(client_id, scope)
        for life in self.lives[1:]:
            life.note(self._send(life.client_id, redemption(life.code)))

    @precondition(lambda self: self.is_enabled and self.able)
    @rule(data=st.data(), scope=st.sampled_from(SCOPES))
    def allow_in_the_browser(self, data: st.DataObject, scope: str) -> None:
        """The application gets a code, which it has not redeemed yet."""
        self._allow(data.draw(st.sampled_from(self.able)), scope)

    @precondition(lambda self: self.is_enabled and self.able)
    @rule(data=st.data(), scope=st.sampled_from(SCOPES))
    def send_the_password(self, data: st.DataObject, scope: str) -> None:
        client_id = data.draw(st.sampled_from(self.able))
        life = Life(client_id, scope, None)
        form = {"grant_type": "password", "username": self.username, "password": PASSWORD, "scope": scope}
        life.note(self._send(client_id, form))
        self.lives.append(life)

    # What applications do.

    @precondition(lambda self: self.coded)
    @rule(data=st.data())
    def redeem(self, data: st.DataObject) -> None:
        """Once a code is worth tokens; the second time it ends what it was worth."""
        life = data.draw(st.sampled_from(self.coded))
        response = self._send(life.client_id, redemption(life.code))
        if life.is_alive and not life.refresh_tokens:
            life.note(response)
            return
        assert_refused(response, 400, "invalid_grant")
        life.is_alive = False

    @precondition(lambda self: self.refreshable)
    @rule(data=st.data(), back=st.sampled_from((0, 0, 1, 2)), scope=st.sampled_from(("", "openid")))
    def refresh(self, data: st.DataObject, back: int, scope: str) -> None:
        """With any generation: the newest rotates, the one before may be a retry, every other ends the grant."""
        life = data.draw(st.sampled_from(self.refreshable))
        self._refresh(life, max(life.generation - back, 0), scope=scope)

    @precondition(lambda self: self.are_many)
    @rule(data=st.data())
    def refresh_at_once_from_many_threads(self, data: st.DataObject) -> None:
        """One successor for all who may retry; where nobody may, one gets it and the others end the grant."""
        life = data.draw(st.sampled_from(self.refreshable))
        form = refreshing(life.refresh_tokens[-1])
        with ThreadPoolExecutor(CALLERS) as callers:
            responses = list(callers.map(lambda _: self._send(life.client_id, form), range(CALLERS)))
        granted = [response for response in responses if response.status_code == 200]
        assert len(granted) == (CALLERS if life.may_retry else 1)
        assert {response.status_code for response in responses} <= {200, 400}
        assert len({response.json()["refresh_token"] for response in granted}) == 1
        for response in granted:
            life.note(response)
        life.is_alive = life.may_retry

    @precondition(lambda self: self.are_many)
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        """Any refresh token ends its grant; an access token that was ended before ends nothing any more."""
        life = data.draw(st.sampled_from(self.refreshable))
        token = data.draw(st.sampled_from([*life.refresh_tokens, *life.access_tokens]))
        assert self._send(life.client_id, {"token": token}, path="/oauth/revoke").status_code == 200
        life.is_alive = token in life.access_tokens and not life.is_good(token)

    @precondition(lambda self: self.coded)
    @rule(data=st.data())
    def try_a_code_in_vain(self, data: st.DataObject) -> None:
        """Neither a stranger nor a wrong verifier burns it."""
        life = data.draw(st.sampled_from(self.coded))
        for client_id, changes in (("stranger", {}), (life.client_id, {"code_verifier": "x" * 43})):
            assert_refused(self._send(client_id, redemption(life.code, **changes)), 400, "invalid_grant")

    @precondition(lambda self: self.refreshable)
    @rule(data=st.data())
    def try_a_refresh_token_in_vain(self, data: st.DataObject) -> None:
        """Neither a stranger nor a wish for more than was granted burns it, and no stranger can revoke anything."""
        life = data.draw(st.sampled_from(self.refreshable))
        newest, wider = life.refresh_tokens[-1], f"{life.scope} profile"
        assert_refused(self._send("stranger", refreshing(newest)), 400, "invalid_grant")
        assert_refused(self._send(life.client_id, refreshing(newest, scope=wider)), 400, "invalid_scope")
        for token in (newest, life.newest_access_token):
            assert self._send("stranger", {"token": token}, path="/oauth/revoke").status_code == 200

    # What the person does.

    @precondition(lambda self: self.session)
    @rule()
    def take_another_browser(self) -> None:
        """The session in the first one goes on."""
        self.browser.http.close()
        self.browser, self.session = self.service.browser(), None

    @precondition(lambda self: self.session and self.are_many)
    @rule(data=st.data(), how=st.sampled_from(("sign out", "withdraw", "end all")))
    def leave(self, data: st.DataObject, how: str) -> None:
        """Signing out spares what needs no browser; a consent takes all of its client along; the last all there is."""
        if how == "sign out":
            self.browser.submit(self.browser.open("/oauth/logout"), ("decision", "sign_out"))
            self._end(lambda life: life.session is self.session and not life.is_offline)
            self.session = None
        elif how == "withdraw" and self.allowed:
            client_id = data.draw(st.sampled_from(sorted(self.allowed)))
            self.browser.submit(self.browser.open("/account"), ("action", "end_application"), client_id=client_id)
            self.allowed.remove(client_id)
            self._end(lambda life: life.client_id == client_id)
        else:
            self.browser.submit(self.browser.open("/account"), ("action", "end_all"))
            self._end_everything()

    # What the operator does.

    @precondition(lambda self: self.are_many)
    @rule(command=st.sampled_from(ENDING_EVERYTHING))
    def end_everything(self, command: str) -> None:
        self._operate(*command.format(self.username).split(), text=f"{PASSWORD}\n")
        self.is_enabled = "disable" not in command
        self._end_everything()

    @precondition(lambda self: self.are_many)
    @rule(data=st.data(), how=st.sampled_from(("token", "client", "scope", "disable")))
    def end_something(self, data: st.DataObject, how: str) -> None:
        """The browser sessions go on."""
        life = data.draw(st.sampled_from(self.refreshable))
        token = data.draw(st.sampled_from([life.refresh_tokens[-1], life.newest_access_token]))
        match how:
            case "token":
                self._operate("revoke", "--token", "-", "--yes", text=token)
                life.is_alive = False
            case "client":
                self._operate("revoke", "--user", self.username, "--client", life.client_id, "--yes")
                self._end(lambda other: other.client_id == life.client_id)
            case "scope":
                self._operate("revoke", "--user", self.username, "--scope", "write", "--yes")
                self._end(lambda other: "write" in other.scope)
            case _:
                self._operate("client", "disable", life.client_id)
                self.disabled.add(life.client_id)
                self._end(lambda other: other.client_id == life.client_id)
                assert_refused(self._send(life.client_id, refreshing(life.refresh_tokens[-1])), 401, "invalid_client")

    @precondition(lambda self: self.disabled or not self.is_enabled)
    @rule()
    def enable(self) -> None:
        """What was ended stays ended."""
        if not self.is_enabled:
            self._operate("user", "enable", self.username)
        for client_id in sorted(self.disabled):
            self._operate("client", "enable", client_id)
        self.is_enabled = True
        self.disabled.clear()

    # What everybody sees.

    @invariant()
    def everybody_agrees_on_every_access_token(self) -> None:
        """The published lists on all of them, and whoever may ask on those of one grant."""
        expected = {token: life.is_good(token) for life in self.lives for token in life.access_tokens}
        published = Published(self.service)
        assert {token: not published.denies(token) for token in expected} == expected
        for token in list(expected)[-ASKED_ABOUT:]:
            self._ask(token, is_good=expected[token])

    def teardown(self) -> None:
        """At the end every newest refresh token is tried, and what belongs to all is as it was."""
        try:
            self.enable()
            for life in self.lives:
                if life.refresh_tokens:
                    self._refresh(life, life.generation)
        finally:
            self.browser.http.close()

    def _ask(self, token: str, *, is_good: bool) -> None:
        """Who may know all say the same, a stranger learns nothing, and userinfo tells only of what is good."""
        checked = self.service.post("/oauth/check_token", {"token": token}, auth=("auditor", SECRET))
        assert checked.status_code == (200 if is_good else 400), checked.text
        assert self.service.is_active(token, auth=("auditor", SECRET)) is is_good
        assert self.service.is_active(token, auth=("stranger", SECRET)) is False
        assert self.service.userinfo(token).status_code == (200 if is_good else 401)
        owner = claims_of(token)["client_id"]
        if owner not in ("public", *self.disabled):
            assert self.service.is_active(token, auth=(owner, SECRET)) is is_good

    def _allow(self, client_id: str, scope: str) -> None:
        seen = self.browser.authorize(client_id, scope=scope, prompt="consent" if "offline" in scope else "")
        if has_field(seen, "password"):
            self.session = object()
            seen = self.browser.sign_in(seen, self.username)
        if has_field(seen, "decision"):
            seen = self.browser.allow(seen)
        assert self.session is not None, "nobody is signed in, and nobody was asked to"
        self.allowed.add(client_id)
        self.lives.append(Life(client_id, scope, self.session, code=answer(seen)["code"]))

    def _refresh(self, life: Life, generation: int, **more: str) -> None:
        response = self._send(life.client_id, refreshing(life.refresh_tokens[generation], **more))
        is_retry = life.may_retry and generation == life.generation - 1
        if not life.is_alive or (generation < life.generation and not is_retry):
            assert_refused(response, 400, "invalid_grant")
            life.is_alive = False
            return
        life.note(response)
        assert life.refresh_tokens[generation + 1] == response.json()["refresh_token"]

    def _send(self, client_id: str, form: Form, *, path: str = "/oauth/token") -> httpx.Response:
        if client_id == "public":
            return self.service.post(path, {**form, "client_id": client_id}, auth=None)
        return self.service.post(path, form, auth=(client_id, SECRET))

    def _operate(self, *arguments: str, text: str | None = None) -> None:
        """An operator's command, in this process."""
        command = ["--folder", str(self.service.home.path), *arguments]
        result = CliRunner().invoke(root, command, input=text, prog_name="jwtauth")
        assert result.exit_code == 0, result.output

    def _end(self, is_hit: Callable[[Life], bool]) -> None:
        for life in filter(is_hit, self.lives):
            life.is_alive = False

    def _end_everything(self) -> None:
        self._end(lambda life: True)
        self.session = None


class Published:
    """The status lists as a verifier that is far away reads them; each is asked for once."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lists: dict[str, bytes] = {}

    def denies(self, access_token: str) -> bool:
        """Whether the token's bit is set."""
        place = claims_of(access_token)["status"]["status_list"]
        if place["uri"] not in self._lists:
            published = self._service.http.get(httpx.URL(place["uri"]).path).text
            token = status_list.read(decoded(published.split(".")[1]))
            self._lists[place["uri"]] = status_list.decode(token.status_list.lst)
        return bool(status_list.status_of(self._lists[place["uri"]], place["idx"]))


def refreshing(token: str, **more: str) -> dict[str, str]:
    return {
        "grant_type": "refresh_token",
        "refresh_token": token,
        **{name: text for name, text in more.items() if text},
    }


def test_a_grant_is_dead_or_alive_for_everybody_alike(service: Service, scale: int) -> None:
    """Any events in any order."""
    machine: Any = partial(GrantLives, service, count(1))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES * scale,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.generate,) if scale == 1 else (Phase.generate, Phase.shrink),  # shrinking takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )

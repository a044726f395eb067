"""A revocation reaches resource servers that ask nobody about a token, within the seconds that the README states.

The service has two workers; which one hears of a revocation is up to the kernel. Where a verifier hears of it by push,
the service's `ttl` is so long that polling cannot have been what told it.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, Self

import httpx
import pytest
from msgspec import Struct

from jwtauth.errors import InvalidToken
from jwtauth.protocol.records import GrantType
from jwtauth.verifier import Verifier
from tests.stories.test_rotation import rotate
from tests.support import forking, waiting
from tests.support.home import PASSWORD, SECRET
from tests.support.live import free_port
from tests.support.person import CALLBACK, Person
from tests.web.people import CODE, GOODBYE, OIDC, Service
from tests.web.site import claims_of

TTL: Final = 2
NEVER: Final = 600
"""A `ttl` that no test waits for."""
ROUNDS: Final = 3
PUSHED_WITHIN: Final = 1.0
WITHIN: Final = 60.0
wait_until = partial(waiting.wait_until, within=WITHIN, every=0.002)
WATCHER: Final = Path(__file__).parent / "watcher.py"
NEW_PASSWORD: Final = "another battery staple"


class Resource(Protocol):
    """A resource server in a process of its own."""

    name: str

    def watch(self, token: str) -> None:
        """Let the token in, and from then on wait for its end."""

    def died_at(self) -> float:
        """The instant at which it was first refused."""


class Program:
    """One that calls the library."""

    def __init__(self, name: str, service: Service, *options: str) -> None:
        self.name = name
        arguments = [service.server.url, service.home.realm().audience, *(options or ("poll",))]
        command = [sys.executable, str(WATCHER), *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self._process.kill()
        self._process.communicate()

    def watch(self, token: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{token}\n")
        self._process.stdin.flush()
        assert self._answer() == claims_of(token)["jti"]

    def died_at(self) -> float:
        return float(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class Proxied:
    """One behind `jwtauth-verify-proxy`, asked as nginx asks it."""

    def __init__(self, name: str, service: Service, *options: str) -> None:
        self.name = name
        address = f"127.0.0.1:{free_port()}"
        trusted = ["--issuer", service.server.url, "--audience", service.home.realm().audience]
        command = [sys.executable, "-m", "jwtauth.verifier.proxy", *trusted, "--listen", address, *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._http = httpx.Client(base_url=f"http://{address}", timeout=20)
        self._token = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self._http.close()
        self._process.terminate()
        try:
            self._process.wait(WITHIN)
        finally:
            self._process.kill()

    def watch(self, token: str) -> None:
        self._token = token
        wait_until(self._is_let_in)

    def died_at(self) -> float:
        wait_until(lambda: self._status() == 401)
        return time.monotonic()

    def _status(self) -> int:
        return self._http.get("/", headers={"authorization": f"Bearer {self._token}"}).status_code

    def _is_let_in(self) -> bool:
        try:
            return self._status() == 204
        except httpx.TransportError:  # it is starting
            return False


def is_accepted(verifier: Verifier, token: str) -> bool:
    try:
        verifier.verify(token)
    except InvalidToken:
        return False
    return True


def service_with(path: Path, *, ttl: int, clients: tuple[str, ...] = ()) -> Service:
    """Two workers, a machine, and for each named client a person of the same name, beside bob, who uses all of them."""
    service = Service(path, workers=2, status_list_ttl=ttl)
    service.home.client("robot", grant_types=(GrantType.CLIENT_CREDENTIALS,), scope=("read",))
    service.home.user("bob")
    for name in ("web", *clients):
        service.home.client(
            name,
            scope=OIDC,
            grant_types=(*CODE, GrantType.CLIENT_CREDENTIALS),
            redirect_uris=(CALLBACK,),
            post_logout_redirect_uris=(GOODBYE,),
        )
        service.home.user(name)
    return service


@pytest.fixture(scope="module")
def polled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose lists are asked for every `TTL` seconds."""
    service = service_with(tmp_path_factory.mktemp("polled"), ttl=TTL)
    with service:
        yield service
    assert "Traceback" not in service.server.log.read_text()


@pytest.fixture(scope="module")
def pushing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service from whose lists nobody would see anything in time who does not listen."""
    service = service_with(tmp_path_factory.mktemp("pushing"), ttl=NEVER, clients=tuple(WAYS))
    with service:
        yield service
    assert "Traceback" not in service.server.log.read_text()


@pytest.fixture(scope="module")
def verifier(pushing: Service) -> Iterator[Verifier]:
    """One that hears of everything by push."""
    with Verifier(pushing.server.url, pushing.home.realm().audience, push=True) as verifier:
        yield verifier


def delays(service: Service, *resources: Resource) -> dict[str, list[float]]:
    """Seconds from the answer of `/oauth/revoke` to the first refusal, in so many rounds after one that warms up."""
    found: dict[str, list[float]] = {resource.name: [] for resource in resources}
    for _ in range(1 + ROUNDS):
        token = service.machine(auth=("robot", SECRET))
        for resource in resources:
            resource.watch(token)
        answer = httpx.post(f"{service.server.url}/oauth/revoke", data={"token": token}, auth=("robot", SECRET))
        revoked_at = time.monotonic()
        assert answer.status_code == 200
        for resource in resources:
            found[resource.name].append(resource.died_at() - revoked_at)
    return {name: rounds[1:] for name, rounds in found.items()}


class TestHowSoon:
    """Proxied ones are asked first: nobody else would note their instant."""

    def test_by_polling_within_ttl_and_a_second(self, polled: Service) -> None:
        with ExitStack() as running:
            proxied = running.enter_context(Proxied("behind the proxy, polling", polled))
            program = running.enter_context(Program("the library, polling", polled))
            found = delays(polled, proxied, program)
        print(found)
        assert all(delay <= TTL + 1 for rounds in found.values() for delay in rounds), found

    def test_by_push_within_a_second(self, pushing: Service) -> None:
        with ExitStack() as running:
            proxied = running.enter_context(Proxied("behind the proxy, push", pushing, "--push"))
            program = running.enter_context(Program("the library, push", pushing, "push"))
            found = delays(pushing, proxied, program)
        print(found)
        assert all(min(rounds) <= PUSHED_WITHIN for rounds in found.values()), found


class SignedIn(Struct, frozen=True, kw_only=True):
    """A person signed in to a client of the same name, and what the client got."""

    service: Service
    name: str
    person: Person
    code: str
    tokens: dict[str, Any]

    @property
    def auth(self) -> tuple[str, str]:
        """The client's own credentials."""
        return self.name, SECRET

    def operate(self, *arguments: str) -> None:
        """A command, as an operator types it beside the running service."""
        forking.run(*arguments, folder=self.service.home.path).check_returncode()


def sign_in(service: Service, person: Person, client_id: str, username: str) -> SignedIn:
    """Everything from the application's link to its tokens; without `offline_access` they end with the session."""
    page = person.sign_in(person.authorize(client_id, scope="openid read"), username)
    code = dict(httpx.URL(person.allow(page).headers["location"]).params)["code"]
    response = service.redeem(code, client_id=client_id)
    assert response.status_code == 200, response.text
    return SignedIn(service=service, name=client_id, person=person, code=code, tokens=response.json())


def revoke_the_refresh_token(signed: SignedIn) -> None:
    form = {"token": signed.tokens["refresh_token"]}
    assert signed.service.post("/oauth/revoke", form, auth=signed.auth).status_code == 200


def redeem_the_code_again(signed: SignedIn) -> None:
    assert signed.service.redeem(signed.code, client_id=signed.name).status_code == 400


def reuse_a_refresh_token(signed: SignedIn) -> None:
    """Its successor was used, so this cannot be the retry of a lost answer."""
    stolen = signed.tokens["refresh_token"]
    successor = signed.service.refresh(stolen, auth=signed.auth).json()["refresh_token"]
    assert signed.service.refresh(successor, auth=signed.auth).status_code == 200
    assert signed.service.refresh(stolen, auth=signed.auth).status_code == 400


def log_out(signed: SignedIn) -> None:
    """The application sends the person to sign out."""
    hint = {"id_token_hint": signed.tokens["id_token"], "post_logout_redirect_uri": GOODBYE}
    assert signed.person.open("/oauth/logout", hint).headers["location"] == GOODBYE


def sign_out_everywhere(signed: SignedIn) -> None:
    """The person's own button."""
    signed.person.submit(signed.person.open("/account"), ("action", "end_all"))


def withdraw_consent(signed: SignedIn) -> None:
    """Likewise."""
    signed.person.submit(signed.person.open("/account"), ("action", "end_application"), client_id=signed.name)


def change_the_password(signed: SignedIn) -> None:
    """Likewise."""
    account = signed.person.open("/account")
    fields = {"current_password": PASSWORD, "new_password": NEW_PASSWORD, "repeated_password": NEW_PASSWORD}
    page = signed.person.submit(account, None, **fields)
    assert page.status_code == 200, page.text


def sign_the_user_out(signed: SignedIn) -> None:
    signed.operate("user", "sign-out", signed.name)


def disable_the_user(signed: SignedIn) -> None:
    signed.operate("user", "disable", signed.name)


def disable_the_client(signed: SignedIn) -> None:
    signed.operate("client", "disable", signed.name)


OF_A_PERSON: Final = (
    revoke_the_refresh_token,
    redeem_the_code_again,
    reuse_a_refresh_token,
    log_out,
    sign_out_everywhere,
    withdraw_consent,
    change_the_password,
    sign_the_user_out,
    disable_the_user,
)
OF_A_CLIENT: Final = (disable_the_client,)
WAYS: Final = {way.__name__.replace("_", "-"): way for way in (*OF_A_PERSON, *OF_A_CLIENT)}
"""By the client and person of that name, who are used up by it."""


class Crowd(Struct, frozen=True, kw_only=True):
    """Access tokens that are alive: which of them die is the question."""

    signed: SignedIn
    bobs: str
    """Of another person at the same client."""
    machines: str
    """Of the client itself."""
    strangers: str
    """Of another client."""


@pytest.fixture
def crowd(request: pytest.FixtureRequest, pushing: Service, verifier: Verifier) -> Iterator[Crowd]:
    """Everybody around the client that the test names."""
    name = request.param
    with pushing.browser() as person, pushing.browser() as other:
        crowd = Crowd(
            signed=sign_in(pushing, person, name, name),
            bobs=sign_in(pushing, other, name, "bob").tokens["access_token"],
            machines=pushing.machine(auth=(name, SECRET)),
            strangers=pushing.machine(auth=("robot", SECRET)),
        )
        everybody = (crowd.signed.tokens["access_token"], crowd.bobs, crowd.machines, crowd.strangers)
        assert all(is_accepted(verifier, token) for token in everybody)
        yield crowd


class TestWhatEndsAToken:
    """Whatever ended it, it is the same bit that dies; tokens of others live on."""

    @pytest.mark.parametrize("crowd", list(WAYS)[: len(OF_A_PERSON)], indirect=True)
    def test_of_a_person_reaches_verifiers(self, crowd: Crowd, verifier: Verifier) -> None:
        WAYS[crowd.signed.name](crowd.signed)
        wait_until(lambda: not is_accepted(verifier, crowd.signed.tokens["access_token"]))
        assert [is_accepted(verifier, token) for token in (crowd.bobs, crowd.machines, crowd.strangers)] == [True] * 3

    @pytest.mark.parametrize("crowd", list(WAYS)[len(OF_A_PERSON) :], indirect=True)
    def test_of_a_client_reaches_verifiers(self, crowd: Crowd, verifier: Verifier) -> None:
        WAYS[crowd.signed.name](crowd.signed)
        dead = (crowd.signed.tokens["access_token"], crowd.bobs, crowd.machines)
        wait_until(lambda: not any(is_accepted(verifier, token) for token in dead))
        assert is_accepted(verifier, crowd.strangers)


class TestALostKey:
    def test_takes_its_tokens_along_without_one_revocation(self, polled: Service) -> None:
        lost = polled.machine(auth=("robot", SECRET))
        with Program("the library", polled) as resource:
            resource.watch(lost)
            before = statuses(lost), polled.dump(("revocations",))
            rotate(polled, "--now", "--yes")
            rotated_at = time.monotonic()
            assert resource.died_at() - rotated_at <= TTL + 1
            assert (statuses(lost), polled.dump(("revocations",))) == before
            resource.watch(polled.machine(auth=("robot", SECRET)))


def statuses(token: str) -> str:
    """The bits of the list that a token names, as they are published now."""
    published = httpx.get(claims_of(token)["status"]["status_list"]["uri"]).text
    return str(claims_of(published)["status_list"]["lst"])

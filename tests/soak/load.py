"""Everybody who uses a service at once: machines, applications that refresh, applications that redeem codes.

Each of them goes on where it was when the service comes back, and writes into the ledger only what it was told.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, Final

import httpx

from tests.soak.ledger import Ledger
from tests.support.home import PASSWORD, SECRET, Home
from tests.support.person import CALLBACK, Person, answer, has_field, redemption
from tests.web.people import OIDC
from tests.web.site import Site

TIMEOUT_IN: Final = 30
GENERATIONS: Final = 12
"""So often a grant is refreshed before it is revoked and another one begins."""

MACHINE_TOKENS: Final = 6
"""So many tokens a machine gets before it revokes the last one."""

Tokens = dict[str, Any]


def populate(home: Home) -> None:
    """One application that does everything, and a person. A lost answer may be asked for again at any time."""
    home.realm(roles=("ROLE_USER",), retry_in=300)
    home.client("service", scope=OIDC, asks_consent=False, redirect_uris=(CALLBACK,))
    home.user("ada")


class Actor(ABC):
    """Somebody who sends one request after the other."""

    def __init__(self, site: Site, ledger: Ledger) -> None:
        self.url = site.server.url
        self.ledger = ledger
        self._http = self._client()

    @abstractmethod
    def step(self) -> None:
        """One thing that this somebody does; what was not acknowledged is done again when the service is back."""

    def run(self, stopped: Event) -> None:
        """Go on until told to stop, or until the service is gone."""
        while not stopped.is_set() and not self.ledger.problems:
            try:
                self.step()
            except httpx.TransportError:
                return
            except Exception as problem:
                self.ledger.note_problem(f"{type(self).__name__}: {problem!r}")

    def close(self) -> None:
        self._http.close()

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=TIMEOUT_IN, verify=False, auth=("service", SECRET))

    def _post(self, path: str, form: dict[str, str], *, http: httpx.Client | None = None) -> httpx.Response:
        return (http or self._http).post(path, data=form)

    def _must(self, response: httpx.Response) -> Tokens | None:
        """The answer's members, None where the service cannot answer now. Nothing else may come."""
        if response.status_code == 200:
            found: Tokens = response.json() if response.content else {}
            return found
        if self._is_for_now(response):
            return None
        self.ledger.note_problem(f"{type(self).__name__}: {response.status_code} {response.text}")
        return None

    def _is_for_now(self, response: httpx.Response) -> bool:
        """Whether the same request may be sent again."""
        if response.status_code != 503 or int(response.headers.get("retry-after", 0)) < 1:
            return False
        self.ledger.note_refusal()
        return True

    def _revoke(self, token: str) -> bool:
        return self._must(self._post("/oauth/revoke", {"token": token})) is not None

    def _person(self) -> Tokens | None:
        form = {"grant_type": "password", "username": "ada", "password": PASSWORD, "scope": "offline_access"}
        return self._must(self._post("/oauth/token", form))


class Machine(Actor):
    """Gets tokens, and revokes some of them."""

    def __init__(self, site: Site, ledger: Ledger) -> None:
        super().__init__(site, ledger)
        self._unwanted: str | None = None

    def step(self) -> None:
        if self._unwanted is not None:
            if not self._revoke(self._unwanted):
                return
            self.ledger.note_revocation(self._unwanted)
            self._unwanted = None
        for _ in range(MACHINE_TOKENS):
            granted = self._must(self._post("/oauth/token", {"grant_type": "client_credentials"}))
            if granted is not None:
                self.ledger.note_machine(granted["access_token"])
                self._unwanted = granted["access_token"]


class Chain(Actor):
    """Refreshes one grant, each token twice at the same moment as two tabs of a browser do; then revokes it."""

    def __init__(self, site: Site, ledger: Ledger) -> None:
        super().__init__(site, ledger)
        self.last: Tokens | None = None
        """What was acknowledged last, while the grant goes on."""
        self.is_ending = False
        """Whether the grant may be over: its revocation was sent."""
        self._rest = GENERATIONS
        self._rival = self._client()
        self._pool = ThreadPoolExecutor(2)

    def step(self) -> None:
        if self.last is None:
            self.last, self._rest = self._person(), GENERATIONS
            if self.last is not None:
                self.ledger.note_person()
        elif self._rest:
            self._refresh(self.last["refresh_token"])
        else:
            self._end(self.last)

    def close(self) -> None:
        super().close()
        self._rival.close()
        self._pool.shutdown()

    def _end(self, tokens: Tokens) -> None:
        self.is_ending = True
        if self._revoke(tokens["refresh_token"]):
            self.ledger.note_revocation(tokens["access_token"], tokens["refresh_token"])
            self.last, self.is_ending = None, False

    def _refresh(self, token: str) -> None:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        rivals = [self._pool.submit(self._post, "/oauth/token", form, http=http) for http in (self._http, self._rival)]
        problems = [rival.exception() for rival in rivals]
        granted = [self._must(rival.result()) for rival, problem in zip(rivals, problems, strict=True) if not problem]
        for tokens in granted:
            if tokens is not None:
                self.ledger.note_refresh(token, tokens["refresh_token"])
                self.last = tokens
        self._rest -= 1 if granted else 0
        for problem in problems:
            if problem is not None:
                raise problem


class Application(Actor):
    """Sends a person who is signed in for a code, redeems it, and revokes every other grant."""

    def __init__(self, site: Site, ledger: Ledger) -> None:
        super().__init__(site, ledger)
        self.redeemed: list[tuple[str, Tokens]] = []
        """Codes with the tokens that they brought, for whoever wants to try again."""
        self._code: str | None = None
        """Sent to the token endpoint already, with no answer."""
        self._browser = Person(self.url)

    def step(self) -> None:
        if self._code is not None:
            self._redeem_again(self._code)
            return
        self._code = self._get_code()
        granted = self._must(self._redeem(self._code)) if self._code is not None else None
        if self._code is not None and granted is not None:
            self.ledger.note_redemption(self._code)
            self.redeemed.append((self._code, granted))
            self._code = None

    def close(self) -> None:
        super().close()
        self._browser.http.close()

    def replay(self, code: str) -> int:
        """The status with which a code is answered that was redeemed."""
        return self._redeem(code).status_code

    def _redeem(self, code: str) -> httpx.Response:
        return self._post("/oauth/token", redemption(code))

    def _get_code(self) -> str | None:
        """What the browser brings back; None where the service has no page to show now."""
        seen = self._browser.authorize("service", scope="openid offline_access")
        if has_field(seen, "password"):
            seen = self._browser.sign_in(seen)
        if seen.status_code == 503:  # whose Retry-After may be over when the page is shown
            self.ledger.note_refusal()
            return None
        return answer(seen)["code"]

    def _redeem_again(self, code: str) -> None:
        """It was redeemed, or it was not, or its minute is over: at most one answer ever brings tokens."""
        response = self._redeem(code)
        if response.status_code == 400:
            self._code = None
        elif self._must(response) is not None:
            self.ledger.note_redemption(code)
            self._code = None


class Load:
    """All of them, in threads of their own."""

    def __init__(self, site: Site, ledger: Ledger) -> None:
        self.ledger = ledger
        self.chains = [Chain(site, ledger) for _ in range(3)]
        self.applications = [Application(site, ledger) for _ in range(2)]
        self._actors: list[Actor] = [Machine(site, ledger), Machine(site, ledger), *self.chains, *self.applications]

    @contextmanager
    def running(self) -> Iterator[None]:
        """While this goes on, they all send; at its end they have stopped."""
        stopped = Event()
        threads = [Thread(target=actor.run, args=(stopped,)) for actor in self._actors]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stopped.set()
            for thread in threads:
                thread.join()
        assert self.ledger.problems == []

    def close(self) -> None:
        for actor in self._actors:
            actor.close()

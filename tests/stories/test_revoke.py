"""`jwtauth revoke` beside a running service: what is hit is dead everywhere, what is not hit lives (SECURITY S-13)."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from msgspec import Struct

from jwtauth.errors import InvalidToken
from jwtauth.protocol import status_list
from jwtauth.protocol.records import GrantType
from jwtauth.verifier import Verifier
from tests.support import forking, plain, waiting
from tests.support.home import PASSWORD, SECRET
from tests.web.site import Site, assert_refused, basic, claims_of, decoded

ASKED = 12
"""Fresh connections per question, so that both workers answer."""

WITHIN = 60.0
"""A deadline for what takes `status_list_ttl` seconds, here 1."""
wait_until = partial(waiting.wait_until, within=WITHIN, every=0.05)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two workers, the person ada and others, two clients of people and two machines."""
    site = Site(tmp_path_factory.mktemp("revoking"), workers=2, status_list_ttl=1)
    with (site.home.path / "jwtauth.toml").open("a") as settings:
        settings.write(f'issuer = "{site.server.url}"\n')  # so that commands know whose tokens are ours
    for client_id in ("shop", "desk"):
        site.home.client(client_id, grant_types=(GrantType.PASSWORD, GrantType.REFRESH_TOKEN))
    site.home.client("robot", grant_types=(GrantType.CLIENT_CREDENTIALS,), scope=("read",))
    site.home.client("payer", grant_types=(GrantType.CLIENT_CREDENTIALS,), scope=("read", "pay"))
    for username in ("ada", "bob"):
        site.home.user(username)
    with site:
        yield site
    assert "Traceback" not in site.server.log.read_text()


class Crowd(Struct, frozen=True):
    """Tokens of everybody, got just now."""

    people: dict[tuple[str, str], dict[str, Any]]
    """By client and person."""
    machines: dict[str, str]

    @property
    def tokens(self) -> dict[str, str]:
        """All access tokens by whose they are."""
        of_people = {f"{client} {user}": answer["access_token"] for (client, user), answer in self.people.items()}
        return {**of_people, **self.machines}


@pytest.fixture
def crowd(site: Site) -> Crowd:
    pairs = [("shop", "ada"), ("shop", "bob"), ("desk", "ada")]
    people = {(client, user): signed_in(site, client, user) for client, user in pairs}
    return Crowd(people, {name: site.machine(auth=(name, SECRET)) for name in ("robot", "payer")})


def signed_in(site: Site, client: str, user: str, **more: str) -> dict[str, Any]:
    form = {"grant_type": "password", "username": user, "password": PASSWORD, **more}
    return site.granted(form, auth=(client, SECRET))


def revoke(site: Site, *arguments: str) -> dict[str, Any]:
    """`jwtauth revoke`, as an operator types it."""
    done = forking.run("revoke", "--yes", "--json", *arguments, folder=site.home.path)
    assert done.returncode == 0, done.stderr
    assert "tokens.revoked" in done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def hit(site: Site, crowd: Crowd) -> set[str]:
    """Whose tokens are dead, as all workers agree in introspection and in the published list."""
    found = set()
    for name, token in crowd.tokens.items():
        (is_active,) = {fresh_introspection(site, token) for _ in range(ASKED)}
        (is_set,) = {fresh_bit(token) for _ in range(ASKED)}
        assert is_active is not is_set, name
        if is_set:
            found.add(name)
    return found


def fresh_introspection(site: Site, token: str) -> bool:
    headers = {"authorization": basic("shop", SECRET)}
    answer = plain.post(f"{site.server.url}/oauth/introspect", data={"token": token}, headers=headers)
    return bool(answer.json()["active"])


def fresh_bit(token: str) -> bool:
    listed = claims_of(token)["status"]["status_list"]
    published = status_list.read(decoded(plain.get(listed["uri"]).text.split(".")[1]))
    return status_list.status_of(status_list.decode(published.status_list.lst), listed["idx"]) == 1


EVERYBODY = {"shop ada", "shop bob", "desk ada", "robot", "payer"}


class TestWhatIsHit:
    """Each form against the same crowd."""

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["--user", "ada"], {"shop ada", "desk ada"}),
            (["--client", "shop"], {"shop ada", "shop bob"}),
            (["--client", "robot"], {"robot"}),
            (["--client", "shop", "--user", "ada"], {"shop ada"}),
            (["--scope", "pay"], {"payer"}),
            (["--scope", "read"], EVERYBODY),
            (["--issued-between", "1h", "now"], EVERYBODY),
            (["--issued-between", "7d", "3h"], set()),
            (["--user", "bob", "--issued-between", "1h", "now"], {"shop bob"}),
        ],
        ids=lambda value: " ".join(sorted(value)),
    )
    def test_is_dead_at_every_worker_and_in_the_list_and_nothing_else_is(
        self, site: Site, crowd: Crowd, arguments: list[str], expected: set[str]
    ) -> None:
        revoke(site, *arguments)
        assert hit(site, crowd) == expected

    @pytest.mark.parametrize("member", ["access_token", "refresh_token"])
    def test_by_a_token_is_its_grant(self, site: Site, crowd: Crowd, member: str) -> None:
        answer = crowd.people["shop", "bob"]
        assert revoke(site, "--token", answer[member])["grants"] == 1
        assert hit(site, crowd) == {"shop bob"}

    def test_by_a_machines_token_is_that_token(self, site: Site, crowd: Crowd) -> None:
        sibling = site.machine(auth=("robot", SECRET))
        assert revoke(site, "--token", crowd.machines["robot"])["positions"] == 1
        assert hit(site, crowd) == {"robot"}
        assert site.is_active(sibling, auth=("shop", SECRET))

    def test_cannot_be_refreshed(self, site: Site, crowd: Crowd) -> None:
        revoke(site, "--client", "shop")
        for (client, user), answer in crowd.people.items():
            response = site.refresh(answer["refresh_token"], auth=(client, SECRET))
            if client == "shop":
                assert_refused(response, 400, "invalid_grant")
            else:
                assert response.status_code == 200, user


class TestAfterwards:
    @pytest.mark.parametrize("arguments", [["--user", "ada"], ["--client", "shop"], ["--scope", "read"]])
    def test_people_may_sign_in_again_at_once(self, site: Site, crowd: Crowd, arguments: list[str]) -> None:
        revoke(site, *arguments)
        tokens = [signed_in(site, "shop", "ada")["access_token"] for _ in range(3)]
        assert all(fresh_introspection(site, token) for token in tokens)

    @pytest.mark.parametrize(
        "arguments", [["--client", "robot"], ["--scope", "read"], ["--issued-between", "1h", "now"]]
    )
    def test_machines_get_tokens_that_work_from_every_worker(
        self, site: Site, crowd: Crowd, arguments: list[str]
    ) -> None:
        """The block that a worker was using is dead: it must not go on with it."""
        revoke(site, *arguments)
        for _ in range(ASKED):
            form = {"grant_type": "client_credentials"}
            answer = plain.post(f"{site.server.url}/oauth/token", data=form, auth=("robot", SECRET))
            assert fresh_introspection(site, answer.json()["access_token"])


class TestVerifiers:
    def test_that_ask_nobody_refuse_it_once_the_list_is_due(self, site: Site, crowd: Crowd) -> None:
        with Verifier(site.server.url, site.home.realm().audience) as verifier:
            for token in crowd.tokens.values():
                assert verifier.verify(token).issuer == site.server.url
            revoke(site, "--user", "ada")
            wait_until(lambda: refuses(verifier, crowd.tokens["shop ada"]))
            assert refuses(verifier, crowd.tokens["desk ada"])
            for name in ("shop bob", "robot", "payer"):
                assert verifier.verify(crowd.tokens[name])


class TestDryRun:
    def test_changes_nothing(self, site: Site, crowd: Crowd) -> None:
        counted = revoke_dry(site, "--scope", "read")
        assert counted["grants"] >= 3
        assert set(counted["machines"]) == {"robot", "payer"}
        assert hit(site, crowd) == set()


def revoke_dry(site: Site, *arguments: str) -> dict[str, Any]:
    done = forking.run("revoke", "--dry-run", "--json", *arguments, folder=site.home.path)
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def refuses(verifier: Verifier, token: str) -> bool:
    try:
        verifier.verify(token)
    except InvalidToken:
        return True
    return False

"""A client that was proven before is not proven anew: until anything about it, its secret or the request changes."""

from typing import Any

import pytest
from msgspec.structs import replace

from jwtauth.endpoints import introspect
from jwtauth.endpoints.request import Request
from jwtauth.errors import InvalidClient, InvalidRequest
from jwtauth.store.ports import Store
from tests.endpoints.conftest import Desk, request
from tests.support.home import SECRET, generated_secret
from tests.web.site import basic

OTHER = "another-secret-of-the-tests"
EXPIRES_IN = 100


def ask(desk: Desk, sender: str = "service", *, secret: str = SECRET, **form: str) -> bool:
    """Ask about a token that is none; whoever is told so has been let in."""
    asked = Request(parameters={"token": "x", **form}, authorization=(basic(sender, secret),))
    return not desk.run(introspect.answer(desk.issuer, asked)).active


def replace_secrets(desk: Desk, *secrets: Any) -> None:
    client = desk.client("service")

    async def work(store: Store) -> None:
        await store.administration.replace_secrets(client, secrets, now=desk.clock.at)

    desk.home.ask(work)


@pytest.fixture
def proven(desk: Desk) -> Desk:
    """Where `service` has proven itself."""
    assert ask(desk)
    assert ask(desk)
    return desk


class TestAProvenClient:
    def test_is_refused_with_any_other_secret(self, proven: Desk) -> None:
        for secret in (OTHER, f"{SECRET} ", SECRET[:-1]):
            with pytest.raises(InvalidClient):
                ask(proven, secret=secret)

    def test_proves_nobody_else(self, proven: Desk) -> None:
        for client_id in ("nobody", "SERVICE"):
            with pytest.raises(InvalidClient):
                ask(proven, client_id)

    def test_is_refused_once_its_secret_was_replaced(self, proven: Desk) -> None:
        replace_secrets(proven, generated_secret(OTHER))
        with pytest.raises(InvalidClient):
            ask(proven)
        assert ask(proven, secret=OTHER)

    @pytest.mark.parametrize(("after", "is_good"), [(EXPIRES_IN - 1, True), (EXPIRES_IN, False)])
    def test_is_refused_from_the_second_at_which_its_secret_expires(
        self, desk: Desk, after: int, is_good: bool
    ) -> None:
        expiring = replace(generated_secret(), expires_at=desk.clock.at + EXPIRES_IN)
        replace_secrets(desk, expiring, generated_secret(OTHER))
        assert ask(desk)
        desk.clock.move(after)
        if is_good:
            assert ask(desk)
        else:
            with pytest.raises(InvalidClient):
                ask(desk)
        assert ask(desk, secret=OTHER)

    def test_is_refused_once_it_is_disabled(self, proven: Desk) -> None:
        proven.disable_client("service")
        with pytest.raises(InvalidClient):
            ask(proven)

    def test_is_refused_once_its_realm_is_disabled(self, proven: Desk) -> None:
        realm = proven.client("service").realm
        proven.home.ask(lambda store: store.administration.disable_realm(realm, now=proven.clock.at))
        with pytest.raises(InvalidClient):
            ask(proven)

    def test_has_the_settings_of_this_moment(self, proven: Desk) -> None:
        proven.change_client("service", scope=("read",))
        assert proven.token(grant_type="client_credentials").scope == "read"

    def test_c_03_is_refused_with_two_methods(self, proven: Desk) -> None:
        with pytest.raises(InvalidRequest):
            ask(proven, client_secret=SECRET)

    def test_c_04_is_refused_beside_another_client(self, proven: Desk) -> None:
        with pytest.raises(InvalidRequest):
            ask(proven, client_id="other")

    def test_c_04_is_refused_with_two_headers(self, proven: Desk) -> None:
        twice = request("service", token="x").authorization * 2
        with pytest.raises(InvalidRequest):
            proven.run(introspect.answer(proven.issuer, Request(parameters={"token": "x"}, authorization=twice)))

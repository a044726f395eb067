"""A better hash takes an old one's place when what it hides was sent, and never at the cost of the sign-in."""

import asyncio
import sqlite3
from contextlib import closing

import pytest
from argon2 import PasswordHasher
from msgspec.structs import replace

from jwtauth.endpoints import rehash, token
from jwtauth.endpoints.outcomes import Carry
from jwtauth.endpoints.token_answer import TokenAnswer
from jwtauth.errors import InvalidClient, InvalidGrant
from jwtauth.passwords import take
from jwtauth.protocol.records import ClientSecret, SecretKind
from tests.endpoints.conftest import Browser, Desk, request
from tests.support.home import PASSWORD, SECRET, generated_secret
from tests.web.site import basic

BCRYPT = "$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG"
"""Of `password`."""


@pytest.fixture
def legacy(desk: Desk) -> str:
    """Ada's hash, which came from elsewhere."""
    stored = desk.issuer.passwords.settle(take(BCRYPT))
    desk.change_user(password_hash=stored)
    return stored


@pytest.fixture
def legacy_secret(desk: Desk) -> str:
    """The hash of a second secret of the machine `service`, which came from elsewhere."""
    stored = desk.issuer.passwords.settle(take(BCRYPT))
    secrets = (generated_secret(), ClientSecret(kind=SecretKind.CHOSEN, digest=stored, created_at=0))
    client = desk.client("service")
    desk.home.ask(lambda store: store.administration.replace_secrets(client, secrets, now=0))
    return stored


def hash_of(desk: Desk) -> str:
    found = desk.user().password_hash
    assert found is not None
    return found


def grant(desk: Desk, password: str) -> TokenAnswer:
    return desk.token(grant_type="password", username="ada", password=password)


class TestPassword:
    def test_is_hashed_anew_by_the_password_grant(self, desk: Desk, legacy: str) -> None:
        answer = grant(desk, "password")
        better = hash_of(desk)
        assert better.startswith("$argon2id$")
        assert not desk.issuer.passwords.is_outdated(better)
        assert desk.is_active(answer.access_token)
        assert desk.refresh(answer).access_token
        assert grant(desk, "password")
        assert hash_of(desk) == better

    def test_is_hashed_anew_by_the_sign_in_page(self, desk: Desk, browser: Browser, legacy: str) -> None:
        assert isinstance(browser.allow(browser.sign_in(browser.authorize(), password="password")), Carry)
        assert hash_of(desk).startswith("$argon2id$")
        assert browser.is_signed_in()

    @pytest.mark.parametrize("sent", ["wrong", "", PASSWORD])
    def test_is_not_hashed_anew_where_it_is_wrong(self, desk: Desk, browser: Browser, legacy: str, sent: str) -> None:
        with pytest.raises(InvalidGrant):
            grant(desk, sent)
        browser.sign_in(browser.authorize(), password=sent)
        assert hash_of(desk) == legacy

    @pytest.mark.parametrize("costs", [(1, 8_193, 1), (2, 8_192, 1)])
    def test_is_hashed_anew_at_another_cost(self, desk: Desk, costs: tuple[int, int, int]) -> None:
        desk.change_user(password_hash=PasswordHasher(*costs).hash(PASSWORD))
        grant(desk, PASSWORD)
        assert hash_of(desk).startswith("$argon2id$v=19$m=8192,t=1,p=1$")

    def test_of_ours_stays_as_it_is(self, desk: Desk) -> None:
        before = hash_of(desk)
        version = desk.issuer.store.refresh().directory
        grant(desk, PASSWORD)
        assert hash_of(desk) == before
        assert desk.issuer.store.refresh().directory == version

    def test_that_was_changed_meanwhile_stays(self, desk: Desk, legacy: str) -> None:
        as_checked = desk.user()
        desk.change_user(password_hash=desk.issuer.passwords.hash("new"))
        changed = hash_of(desk)
        desk.run(rehash.password(desk.issuer, as_checked, "password"))
        assert hash_of(desk) == changed

    def test_waits_for_next_time_where_there_is_no_room_for_one_more_hash(self, desk: Desk, legacy: str) -> None:
        user, issuer = desk.user(), desk.issuer
        room = issuer.settings.password_threads + issuer.settings.password_queue

        async def crowded() -> None:
            waiting = [asyncio.create_task(issuer.passwords.verify(None, "x")) for _ in range(room)]
            await asyncio.sleep(0)
            await rehash.password(issuer, user, "password")
            assert not all(task.done() for task in waiting)
            await asyncio.gather(*waiting)

        desk.run(crowded())
        assert hash_of(desk) == legacy
        desk.run(rehash.password(issuer, user, "password"))
        assert hash_of(desk).startswith("$argon2id$")

    @pytest.mark.parametrize("user", [None, "without a hash"])
    def test_of_nobody_is_not_hashed(self, desk: Desk, user: str | None) -> None:
        known = user and replace(desk.user(), password_hash=None)
        version = desk.issuer.store.refresh().directory
        desk.run(rehash.password(desk.issuer, known or None, "x"))
        assert desk.issuer.store.refresh().directory == version


class TestSecret:
    def test_is_hashed_anew_once_it_was_sent(self, desk: Desk, legacy_secret: str) -> None:
        with pytest.raises(InvalidClient):
            self.ask(desk, "wrong")
        assert self.hash_of(desk) == legacy_secret
        for _ in range(2):
            assert self.ask(desk, "password").access_token
            assert self.hash_of(desk).startswith("$argon2id$")
        with pytest.raises(InvalidClient):
            self.ask(desk, "wrong")

    def test_that_we_generated_is_left_alone(self, desk: Desk, legacy_secret: str) -> None:
        assert self.ask(desk, SECRET).access_token
        assert self.hash_of(desk) == legacy_secret
        assert self.ask(desk, "password").access_token
        assert desk.client("service").secrets[0] == generated_secret()

    def test_waits_for_next_time_where_the_database_cannot_write(self, desk: Desk, legacy_secret: str) -> None:
        self.ask(desk, SECRET)  # takes a block of positions: after that, a machine's tokens need no write
        with closing(sqlite3.connect(desk.home.source.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert self.ask(desk, "password").access_token
        assert self.hash_of(desk) == legacy_secret

    def ask(self, desk: Desk, secret: str) -> TokenAnswer:
        asked = request("service", grant_type="client_credentials")
        authorization = (basic("service", secret),)
        return desk.run(token.answer(desk.issuer, replace(asked, authorization=authorization)))

    def hash_of(self, desk: Desk) -> str:
        (chosen,) = [secret for secret in desk.client("service").secrets if secret.kind is SecretKind.CHOSEN]
        return chosen.digest

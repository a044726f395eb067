"""`Directory`: realms, clients and users as they were written."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from msgspec.structs import replace

from jwtauth.errors import ConfigurationError
from jwtauth.protocol.profile import Address, Profile
from jwtauth.protocol.records import (
    ApplicationType,
    AuthMethod,
    ClientSecret,
    SecretKind,
)
from jwtauth.store.ports import Store
from tests.store.conformance.cast import (
    NOW,
    Cast,
    Conformance,
    OpenStore,
    a_client,
    a_realm,
    a_user,
)
from tests.store.racing import Ask, race

PROFILE = Profile(
    name="Ève", email="eve@example", email_verified=False, address=Address(locality="Genève", country="CH")
)


class DirectoryConformance(Conformance):
    """`Directory`, and what `Administration` lists and creates."""

    def test_gives_none_for_whom_nobody_knows(self, store: Store, cast: Cast, ask: Ask) -> None:
        assert ask(store.directory.client("Player")) is None
        assert ask(store.directory.client_numbered(12_345)) is None
        assert not ask(store.directory.has_origin("https://nobody.example"))
        assert ask(store.directory.user(12_345)) is None
        assert ask(store.directory.user_named("Ada")) is None

    def test_gives_every_setting_of_a_realm_and_a_client_back(self, store: Store, other: Store, ask: Ask) -> None:
        realm = ask(
            store.administration.create_realm(
                a_realm(
                    "films",
                    dialect="standard",
                    roles=("ROLE_A", "ROLE_B"),
                    access_token_in=1,
                    refresh_token_in=2,
                    grant_in=3,
                    retry_in=0,
                    renews_position=True,
                    is_demo=True,
                ),
                now=NOW,
            )
        )
        client = ask(
            store.administration.create_client(
                a_client(
                    "cinema",
                    realm,
                    name="Cinéma",
                    auth_method=AuthMethod.POST,
                    secrets=(
                        ClientSecret(kind=SecretKind.GENERATED, digest="d", created_at=1, expires_at=2),
                        ClientSecret(kind=SecretKind.CHOSEN, digest="$h", created_at=3),
                    ),
                    scope=("a", "b"),
                    default_scope=("a",),
                    resources=("https://r",),
                    authorities=("ROLE_C",),
                    redirect_uris=("https://c/cb",),
                    application_type=ApplicationType.NATIVE,
                    requires_pkce=False,
                    asks_consent=False,
                    allows_implicit=True,
                    id_token_algorithm="EdDSA",
                    post_logout_redirect_uris=("https://c/bye",),
                    backchannel_logout_uri="https://c/logout",
                    access_token_in=4,
                    refresh_token_is_reusable=True,
                    introspects_realms=("music",),
                    is_demo=True,
                ),
                now=NOW,
            )
        )
        assert ask(other.directory.client("cinema")) == client
        assert ask(other.directory.client_numbered(client.id)) == client
        assert ask(other.administration.clients()) == [client]
        assert ask(other.administration.realms()) == [realm]

    def test_gives_every_setting_of_a_user_back(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        roles: dict[str, tuple[str, ...]] = {"music": ("ROLE_B", "ROLE_A"), "films": ()}
        about = {"profile": PROFILE, "updated_at": NOW}
        given = a_user("eve", sub="u.x", password_hash="$h", roles=roles, is_demo=True, **about)
        user = ask(store.administration.create_user(given, now=NOW))
        assert user == replace(given, id=user.id)
        assert ask(other.directory.user(user.id)) == ask(other.directory.user_named("eve")) == user

    def test_gives_the_disabled_too(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        ask(store.administration.disable_client(cast.player, now=NOW + 1))
        ask(store.administration.disable_user(cast.ada, now=NOW + 2))
        ask(store.administration.disable_realm(cast.films, now=NOW + 3))
        other.refresh()
        player, cinema = ask(other.directory.client("player")), ask(other.directory.client("cinema"))
        by_name = ask(other.directory.user_named("ada"))
        assert player is not None
        assert cinema is not None
        assert by_name is not None
        assert ask(other.directory.client_numbered(cast.player.id)) == player
        assert player.disabled_at == NOW + 1
        assert by_name.disabled_at == NOW + 2
        assert cinema.realm.disabled_at == NOW + 3
        assert ask(other.directory.user(cast.ada.id)) == by_name

    def test_lists_by_name_and_by_realm(self, store: Store, cast: Cast, ask: Ask) -> None:
        admin = store.administration
        ask(admin.change_user(replace(cast.bob, roles={"films": ()}), now=NOW))
        assert [realm.name for realm in ask(admin.realms())] == ["films", "music"]
        assert [client.client_id for client in ask(admin.clients())] == ["cinema", "player"]
        assert [client.client_id for client in ask(admin.clients("music"))] == ["player"]
        assert [user.username for user in ask(admin.users())] == ["ada", "bob"]
        assert [user.username for user in ask(admin.users("music"))] == ["ada"]
        assert ask(admin.users("nowhere")) == []

    def test_gives_each_user_an_id_unless_one_is_asked_for(self, store: Store, cast: Cast, ask: Ask) -> None:
        asked = ask(store.administration.create_user(a_user("eve", id=777), now=NOW))
        given = ask(store.administration.create_user(a_user("joe"), now=NOW))
        assert asked.id == 777
        assert given.id > 0
        assert len({cast.ada.id, cast.bob.id, asked.id, given.id}) == 4

    @pytest.mark.parametrize(
        "refused",
        [
            pytest.param(
                lambda a, c: a.create_realm(a_realm("music", audience="https://new"), now=NOW), id="realm name"
            ),
            pytest.param(lambda a, c: a.create_realm(a_realm("x", audience=c.music.audience), now=NOW), id="audience"),
            pytest.param(
                lambda a, c: a.change_realm(replace(c.films, audience=c.music.audience), now=NOW), id="changed audience"
            ),
            pytest.param(lambda a, c: a.change_realm(a_realm("none", id=99), now=NOW), id="no such realm"),
            pytest.param(lambda a, c: a.create_client(a_client("player", c.films), now=NOW), id="client_id"),
            pytest.param(lambda a, c: a.create_client(a_client("u.ada", c.films), now=NOW), id="client_id of a sub"),
            pytest.param(lambda a, c: a.create_user(a_user("ada", sub="u.new"), now=NOW), id="username"),
            pytest.param(lambda a, c: a.create_user(a_user("new", id=c.ada.id), now=NOW), id="user id"),
            pytest.param(lambda a, c: a.create_user(a_user("new", sub="player"), now=NOW), id="sub of a client_id"),
            pytest.param(lambda a, c: a.create_user(a_user("new", roles={"x": ()}), now=NOW), id="unknown realm"),
            pytest.param(lambda a, c: a.change_user(replace(c.ada, username="bob"), now=NOW), id="changed username"),
            pytest.param(lambda a, c: a.change_user(replace(c.ada, roles={"x": ()}), now=NOW), id="changed realm"),
        ],
    )
    def test_refuses_what_is_taken_or_unknown_and_writes_nothing(
        self, store: Store, other: Store, cast: Cast, ask: Ask, refused: Callable[..., Coroutine[Any, Any, object]]
    ) -> None:
        """SECURITY J-13 among them: a user's sub can never equal a client_id."""
        other.refresh()
        before = other.refresh()
        with pytest.raises(ConfigurationError):
            ask(refused(store.administration, cast))
        assert other.refresh() == before
        assert ask(other.administration.realms()) == [cast.films, cast.music]
        assert ask(other.administration.clients()) == [cast.cinema, cast.player]
        assert ask(other.administration.users()) == [cast.ada, cast.bob]

    def test_a_sub_and_a_client_id_never_meet_even_in_a_race(self, memory: OpenStore, cast: Cast) -> None:
        def machine(store: Store, ask: Ask) -> bool:
            return is_done(ask, store.administration.create_client(a_client("same", cast.music), now=NOW))

        def person(store: Store, ask: Ask) -> bool:
            return is_done(ask, store.administration.create_user(a_user("new", sub="same"), now=NOW))

        assert sum(race(memory, machine, person, machine, person)) == 1


def is_done(ask: Ask, work: Coroutine[Any, Any, object]) -> bool:
    try:
        ask(work)
    except ConfigurationError:
        return False
    return True


class OriginsConformance(Conformance):
    """`Directory.has_origin` (RFC 6454 section 6.2)"""

    @pytest.mark.parametrize(
        ("redirect_uri", "origin"),
        [
            ("https://app.example/back?a=b", "https://app.example"),
            ("https://app.example:443/back", "https://app.example"),
            ("https://app.example:8443/back", "https://app.example:8443"),
            ("https://APP.example/back", "https://app.example"),
            ("https://app.example", "https://app.example"),
            ("http://127.0.0.1:80/back", "http://127.0.0.1"),
            ("http://127.0.0.1:443/back", "http://127.0.0.1:443"),
            ("http://[::1]:3000/back", "http://[::1]:3000"),
        ],
    )
    def test_is_that_of_a_redirect_uri_as_browsers_send_it(
        self, store: Store, other: Store, cast: Cast, ask: Ask, redirect_uri: str, origin: str
    ) -> None:
        ask(store.administration.create_client(a_client("app", cast.music, redirect_uris=(redirect_uri,)), now=NOW))
        other.refresh()
        assert ask(other.directory.has_origin(origin))

    @pytest.mark.parametrize(
        "origin",
        [
            *(
                "https://app.example/",
                "https://app.example/back",
                "https://app.example:443",
                "https://app.example:8443",
            ),
            *("http://app.example", "https://APP.example", "https://x.app.example", "https://example", "app.example"),
            *(
                "com.example.app:",
                "com.example.app://",
                "com.example.app:/back",
                "null",
                "",
                "%",
                "https://app_example",
            ),
            "https://" + "a" * 10_000,
        ],
    )
    def test_is_no_other(self, store: Store, cast: Cast, ask: Ask, origin: str) -> None:
        uris = ("https://app.example/back", "com.example.app:/back")
        ask(store.administration.create_client(a_client("app", cast.music, redirect_uris=uris), now=NOW))
        store.refresh()
        assert not ask(store.directory.has_origin(origin))

    def test_follows_what_changes(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        def known() -> list[bool]:
            other.refresh()
            return [ask(other.directory.has_origin(f"https://{name}.example")) for name in ("old", "new")]

        admin, client = store.administration, replace(cast.player, redirect_uris=("https://old.example/back",))
        assert known() == [False, False]
        ask(admin.change_client(client, now=NOW))
        assert known() == [True, False]
        ask(admin.change_client(replace(client, redirect_uris=("https://new.example/back",)), now=NOW))
        assert known() == [False, True]
        ask(admin.disable_client(client, now=NOW))
        assert known() == [False, False]
        ask(admin.enable_client(client, now=NOW))
        assert known() == [False, True]
        ask(admin.disable_realm(cast.music, now=NOW))
        assert known() == [False, False]

    def test_is_known_as_long_as_one_client_has_it(self, store: Store, cast: Cast, ask: Ask) -> None:
        shared = {"redirect_uris": ("https://app.example/a", "https://app.example/b")}
        for client in (cast.player, cast.cinema):
            ask(store.administration.change_client(replace(client, **shared), now=NOW))
        ask(store.administration.change_client(cast.player, now=NOW))
        store.refresh()
        assert ask(store.directory.has_origin("https://app.example"))

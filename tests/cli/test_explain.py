"""`jwtauth explain`: what it says of a token is what the service does with it, and it changes nothing."""

import json
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click
import pytest
from click.testing import CliRunner
from msgspec import structs

from jwtauth.cli.commands import root
from jwtauth.cli.explain import explain_request
from jwtauth.cli.explaining import remedies
from jwtauth.errors import ConfigurationError, InvalidToken
from jwtauth.keyring import jws
from jwtauth.keyring.folder import KeyFolder
from jwtauth.keyring.jws import SigningKey
from jwtauth.protocol.records import GrantType
from jwtauth.settings import load
from jwtauth.verifier import Verifier
from tests.support.home import SECRET
from tests.support.live import LiveServer, free_port
from tests.support.person import CALLBACK
from tests.web.people import Service
from tests.web.site import claims_of

DAY: Final = 86_400
CODE: Final = {"grant_types": (GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN), "redirect_uris": (CALLBACK,)}
SCOPE: Final = ("openid", "profile", "read", "write", "offline_access")
TABLES: Final = ("grants", "revocations", "sessions", "clients", "users")


class World(Service):
    """A running service, and tokens that it would never issue."""

    def __init__(self, path: Path) -> None:
        port = free_port()
        super().__init__(path, issuer=f"http://127.0.0.1:{port}")
        self.server = LiveServer(path, port=port)
        self.http.base_url = self.server.url
        self.retired = jws.generate("ES256")
        """A key whose tokens are all over."""

    def key(self) -> SigningKey:
        """What signs access tokens."""
        return next(key for record, key in KeyFolder(self.home.source.keys).read_keys() if record.created_at > 0)

    def signed(self, token: str, key: SigningKey | None = None, typ: str = "at+jwt", **changes: Any) -> str:
        """A token with other claims, signed by a key of the service unless told."""
        claims = {**claims_of(token), **changes}
        return (key or self.key()).sign(json.dumps(claims).encode(), typ=typ)

    def explain(self, text: str, *options: str) -> dict[str, Any]:
        """What `jwtauth explain` says; its exit status is in it, and the token is not."""
        before = self.dump(TABLES)
        result = CliRunner().invoke(root, ["--folder", str(self.home.path), "explain", "-", "--json", *options], text)
        assert self.dump(TABLES) == before
        assert text not in result.output
        said: dict[str, Any] = json.loads(result.stdout)
        assert said["is_accepted"] is (result.exit_code == 0)
        assert said["is_accepted"] is all(check["is_ok"] for check in said["checks"])
        return said

    def failed(self, text: str, *options: str) -> list[str]:
        """The checks that it says failed."""
        return [check["check"] for check in self.explain(text, *options)["checks"] if not check["is_ok"]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    service = World(tmp_path_factory.mktemp("explained"))
    home = service.home
    KeyFolder(home.source.keys).write_key(service.retired, created_at=0, signs_at=0)
    _age(home.source.keys)
    home.client("service", scope=SCOPE)
    home.client("other", scope=SCOPE)
    home.client("web", scope=SCOPE, asks_consent=False, **CODE)
    for name in ("ada", "eve", "bob"):
        home.user(name)
    for name in ("disabled", "leaving"):
        home.client(name, scope=SCOPE)
    with service:
        yield service
    assert "Traceback" not in service.server.log.read_text()


def _age(keys: Path) -> None:
    """Let the service's own key have signed for so long that the one before it is retired."""
    folder = KeyFolder(keys)
    for record in folder.read_records():
        if record.algorithm == "ES256" and record.created_at > 0:
            folder.replace_key(structs.replace(record, signs_at=int(time.time()) - 3 * DAY))


Make = Callable[[World], str]


def _expired(world: World) -> str:
    now = int(time.time())
    return world.signed(world.machine(), iat=now - 700, exp=now - 100)


def _revoked(world: World) -> str:
    token = world.machine()
    assert world.post("/oauth/revoke", {"token": token}).status_code == 200
    return token


def _changed(world: World) -> str:
    header, payload, signature = world.machine().split(".")
    changed = jws.take_apart(f"{header}.{payload}.{signature}").payload.replace(b'"service"', b'"admin"')
    return f"{header}.{urlsafe_b64encode(changed).rstrip(b'=').decode()}.{signature}"


def _unsigned(world: World) -> str:
    header = urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').rstrip(b"=").decode()
    return f"{header}.{world.machine().split('.')[1]}."


def _of_disabled_client(world: World) -> str:
    token = world.machine(auth=("disabled", SECRET))
    client = world.home.ask(lambda store: store.directory.client("disabled"))
    assert client is not None
    world.home.ask(lambda store: store.administration.disable_client(client, now=int(time.time())))
    return token


def _of_disabled_user(world: World) -> str:
    token: str = world.person("eve")["access_token"]
    user = world.home.ask(lambda store: store.directory.user_named("eve"))
    assert user is not None
    world.home.ask(lambda store: store.administration.disable_user(user, now=int(time.time())))
    return token


def _other_list(world: World) -> str:
    token = world.machine()
    uri = claims_of(token)["status"]["status_list"]["uri"]
    return world.signed(token, status={"status_list": {"idx": 0, "uri": uri.replace("/1-", "/7-")}})


def _id_token(world: World) -> str:
    with world.browser() as person:
        token: str = world.tokens(person)["id_token"]
    return token


ACCESS_TOKENS: Final[dict[str, tuple[Make, list[str]]]] = {
    "a machine's": (lambda world: world.machine(), []),
    "a person's": (lambda world: world.person()["access_token"], []),
    "expired": (_expired, ["exp"]),
    "from the future": (lambda world: world.signed(world.machine(), iat=int(time.time()) + 3000), ["iat"]),
    "revoked": (_revoked, ["revocation"]),
    "of another issuer": (lambda world: world.signed(world.machine(), iss="https://other.example"), ["iss"]),
    "of another key": (lambda world: world.signed(world.machine(), jws.generate("ES256")), ["kid"]),
    "of a retired key": (lambda world: world.signed(world.machine(), world.retired), ["kid"]),
    "with changed claims": (_changed, ["signature"]),
    "without a signature": (_unsigned, ["kid"]),
    "padded": (lambda world: world.machine() + "=", ["encoding"]),
    "cut short": (lambda world: world.machine().rpartition(".")[0], ["parts", "encoding"]),
    "of another type": (lambda world: world.signed(world.machine(), typ="logout+jwt"), ["typ"]),
    "without claims": (lambda world: world.key().sign(b"{}", typ="at+jwt"), ["claims"]),
    "of a restored database": (_other_list, ["status list"]),
    "of a disabled client": (_of_disabled_client, ["revocation", "client"]),
    "of a disabled user": (_of_disabled_user, ["revocation", "grant", "user"]),
}
"""What a token is, and which checks fail."""


class TestAccessTokens:
    @pytest.mark.parametrize("kind", ACCESS_TOKENS)
    def test_are_judged_as_introspection_judges_them(self, world: World, kind: str) -> None:
        make, failed = ACCESS_TOKENS[kind]
        token = make(world)
        assert world.failed(token) == failed
        assert world.explain(token)["is_accepted"] is world.is_active(token)

    def test_are_judged_for_an_audience_as_a_verifier_there_judges_them(self, world: World) -> None:
        token = world.machine()
        audience = claims_of(token)["aud"]
        assert world.failed(token, "--audience", audience) == []
        assert world.failed(token, "--audience", "https://other.example") == ["aud"]
        with Verifier(world.server.url, audience=audience) as verifier:
            assert verifier.verify(token).client_id == "service"
        with Verifier(world.server.url, audience="https://other.example") as verifier, pytest.raises(InvalidToken):
            verifier.verify(token)

    def test_that_just_expired_are_told_of_both_those_who_judge_them(self, world: World) -> None:
        now, token = int(time.time()), world.machine()
        audience = claims_of(token)["aud"]
        expired = world.signed(token, iat=now - 700, exp=now - 5)
        said = world.explain(expired, "--audience", audience)
        assert said["is_accepted"] is world.is_active(expired) is False
        assert "jwtauth.verifier still accepts it until" in said["note"]
        with Verifier(world.server.url, audience=audience) as verifier:
            assert verifier.verify(expired).client_id == "service"
        for late in (_expired(world), world.signed(token, iat=now - 700, exp=now - 5, iss="https://other.example")):
            assert "accepts" not in world.explain(late, "--audience", audience)["note"]

    def test_of_a_client_that_is_gone_are_told_of_both_those_who_judge_them(self, world: World) -> None:
        token = world.signed(world.machine(), client_id="gone", sub="gone")
        audience = claims_of(token)["aud"]
        said = world.explain(token, "--audience", audience)
        assert said["is_accepted"] is world.is_active(token) is False
        assert world.failed(token) == ["client"]
        with Verifier(world.server.url, audience=audience) as verifier:
            assert verifier.verify(token).client_id == "gone"
        assert "resource servers do not look at that, and accept it" in said["note"]

    def test_need_the_scope_that_is_asked_for(self, world: World) -> None:
        token = world.granted({"grant_type": "client_credentials", "scope": "read"})["access_token"]
        assert world.failed(token, "--scope", "read") == []
        assert world.failed(token, "--scope", "read write") == ["scope"]
        assert world.explain(token, "--scope", "write")["error"] == "insufficient_scope"

    def test_are_known_to_a_client_as_introspection_tells_it(self, world: World) -> None:
        token = world.granted({"grant_type": "client_credentials"})["access_token"]
        foreign = world.signed(token, aud="https://elsewhere.example")
        for caller in ("service", "other"):
            for asked in (token, foreign):
                said = world.explain(asked, "--client", caller)
                assert said["is_accepted"] is world.is_active(asked, auth=(caller, SECRET))
        assert world.failed(foreign, "--client", "other") == ["introspection"]


class TestIdTokens:
    def test_are_good_for_their_client_and_no_access_tokens(self, world: World) -> None:
        token = _id_token(world)
        said = world.explain(token, "--client", "web")
        assert (said["kind"], said["is_accepted"]) == ("ID token", True)
        assert world.failed(token, "--client", "other") == ["aud"]
        assert world.failed(token, "--audience", "web") == ["typ", "claims"]
        assert world.userinfo(token).status_code == 401

    def test_expire(self, world: World) -> None:
        (key,) = [key for _, key in KeyFolder(world.home.source.keys).read_keys() if key.algorithm == "RS256"]
        expired = world.signed(_id_token(world), key, typ="JWT", exp=int(time.time()) - 1)
        assert world.failed(expired) == ["exp"]
        foreign = world.signed(_id_token(world), key, typ="JWT", iss="https://other.example")
        assert world.failed(foreign) == ["iss"]


def _fresh(world: World) -> str:
    token: str = world.person()["refresh_token"]
    return token


def _used_once(world: World) -> str:
    token = _fresh(world)
    assert world.refresh(token).status_code == 200
    return token


def _used_before(world: World) -> str:
    token = _fresh(world)
    successor = world.refresh(token).json()["refresh_token"]
    assert world.refresh(successor).status_code == 200
    return token


def _ended(world: World) -> str:
    token = _fresh(world)
    world.post("/oauth/revoke", {"token": token})
    return token


def _outlived(world: World) -> str:
    token = _fresh(world)
    assert world.execute("UPDATE grants SET expires_at = 1000 WHERE id = (SELECT max(id) FROM grants)") == 1
    return token


def _not_issued_yet(world: World) -> str:
    token = _used_once(world)
    successor: str = world.refresh(token).json()["refresh_token"]
    assert world.execute("UPDATE grants SET generation = 0 WHERE id = (SELECT max(id) FROM grants)") == 1
    return successor


def _signed_out(world: World) -> str:
    with world.browser() as person:
        token: str = world.tokens(person, scope="openid")["refresh_token"]
    assert world.execute("UPDATE sessions SET ended_at = 1000, expires_at = 1000") >= 1
    return token


def _of_disabled(world: World) -> str:
    token: str = world.person("bob", auth=("leaving", SECRET))["refresh_token"]
    client = world.home.ask(lambda store: store.directory.client("leaving"))
    assert client is not None
    world.home.ask(lambda store: store.administration.disable_client(client, now=int(time.time())))
    return token


def _other_end(token: str) -> str:
    return token[:-1] + ("A" if token[-1] != "A" else "B")


REFRESH_TOKENS: Final[dict[str, tuple[Make, str, list[str]]]] = {
    "fresh": (_fresh, "service", []),
    "used once, its answer lost": (_used_once, "service", []),
    "used before its successor was": (_used_before, "service", ["generation"]),
    "of an ended grant": (_ended, "service", ["grant"]),
    "too old": (_outlived, "service", ["expiry"]),
    "not issued yet": (_not_issued_yet, "service", ["generation"]),
    "of a browser that was signed out": (_signed_out, "web", ["browser session"]),
    "of another client": (_fresh, "other", ["owner"]),
    "of a disabled client": (_of_disabled, "leaving", ["grant", "client"]),
    "forged": (lambda world: _other_end(_fresh(world)), "service", ["seal"]),
    "cut short": (lambda world: _fresh(world)[:-4], "service", ["seal"]),
}
"""What a refresh token is, who sends it, and which checks fail."""


class TestRefreshTokens:
    @pytest.mark.parametrize("kind", REFRESH_TOKENS)
    def test_are_judged_as_the_token_endpoint_judges_them(self, world: World, kind: str) -> None:
        make, client_id, failed = REFRESH_TOKENS[kind]
        token = make(world)
        said = world.explain(token, "--client", client_id)
        assert [check["check"] for check in said["checks"] if not check["is_ok"]] == failed
        answer = world.refresh(token, auth=(client_id, SECRET))
        assert said["is_accepted"] is (answer.status_code == 200)
        if not said["is_accepted"]:
            assert (said["error"], said["refusal"]) == (answer.json()["error"], answer.json()["error_description"])

    def test_do_not_get_more_scope(self, world: World) -> None:
        token = _fresh(world)
        said = world.explain(token, "--scope", "openid email")
        answer = world.refresh(token, scope="openid email")
        assert said["error"] == answer.json()["error"] == "invalid_scope"
        assert world.failed(token, "--scope", "openid") == []

    def test_are_still_good_after_they_were_explained(self, world: World) -> None:
        token = _used_before(world)
        assert "ends the grant" in world.explain(token)["note"]
        (grant,) = world.dump(("grants",))["grants"][-1:]
        assert world.explain(token)["is_accepted"] is False
        assert world.dump(("grants",))["grants"][-1] == grant


def _code(world: World) -> str:
    with world.browser() as person:
        return person.grant("web")["code"]


def _redeemed(world: World) -> str:
    code = _code(world)
    assert world.redeem(code).status_code == 200
    return code


def _late(world: World) -> str:
    code = _code(world)
    assert world.execute("UPDATE grants SET code_expires_at = 1000 WHERE id = (SELECT max(id) FROM grants)") == 1
    return code


CODES: Final[dict[str, tuple[Make, str, list[str]]]] = {
    "fresh": (_code, "web", []),
    "redeemed": (_redeemed, "web", ["redeemed"]),
    "late": (_late, "web", ["expiry"]),
    "of another client": (_code, "other", ["owner"]),
    "forged": (lambda world: _other_end(_code(world)), "web", ["seal"]),
}


class TestCodes:
    @pytest.mark.parametrize("kind", CODES)
    def test_are_judged_as_the_token_endpoint_judges_them(self, world: World, kind: str) -> None:
        make, client_id, failed = CODES[kind]
        code = make(world)
        said = world.explain(code, "--client", client_id)
        assert [check["check"] for check in said["checks"] if not check["is_ok"]] == failed
        answer = world.redeem(code, client_id=client_id)
        assert said["is_accepted"] is (answer.status_code == 200)
        if not said["is_accepted"]:
            assert (said["error"], said["refusal"]) == (answer.json()["error"], answer.json()["error_description"])


class TestWhatIsPrinted:
    def test_is_a_table_and_a_verdict(self, world: World) -> None:
        result = self.run(world, _expired(world))
        assert result.exit_code == 1
        head, *rows, verdict, remedy = result.stdout.splitlines()
        assert head.split() == ["check", "expected", "got", "result"]
        assert [row.split()[0] for row in rows if row.endswith("FAILED")] == ["exp"]
        assert remedy.startswith("next: let the application refresh")
        assert verdict == "this access token is refused, invalid_token: the token has expired"
        accepted = self.run(world, world.machine())
        assert accepted.exit_code == 0
        assert accepted.stdout.splitlines()[-1] == "this access token is accepted"

    def test_moves_no_cursor(self, world: World) -> None:
        evil = "\x1b[2J\x9b" * 100
        printed = self.run(world, world.signed(world.machine(), jws.generate("ES256"), iss=evil, aud=evil)).stdout
        assert "[2J" in printed
        assert all(line.isprintable() for line in printed.splitlines())
        assert max(map(len, printed.splitlines())) < 1000

    @pytest.mark.parametrize("text", [" . ", "a.b.c", "rt_", "ac_" + "A" * 48, "x" * 20_000, "ein Wört"])
    def test_is_a_refusal_for_what_is_no_token(self, world: World, text: str) -> None:
        assert self.run(world, text).exit_code == 1

    def test_is_one_line_for_nothing(self, world: World) -> None:
        for nothing in ("", " \n", "Bearer "):
            result = self.run(world, nothing)
            assert (result.exit_code, result.stdout) == (1, "")
            assert result.stderr.strip().endswith("nothing was given: name a token or a request id, or send it to -")

    @pytest.mark.parametrize(
        "paste",
        ["Bearer {}", "bearer  {}\n", "Authorization: Bearer {}", '{{"token_type": "Bearer", "access_token": "{}"}}'],
    )
    def test_is_the_same_for_a_token_as_it_was_pasted(self, world: World, paste: str) -> None:
        result = self.run(world, paste.format(world.machine()))
        assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "this access token is accepted")

    def test_says_which_member_of_an_answer_is_missing(self, world: World) -> None:
        result = self.run(world, '{"error": "invalid_grant"}')
        assert (result.exit_code, result.stdout) == (1, "")
        assert "without access_token" in result.stderr

    @staticmethod
    def run(world: World, text: str) -> Any:
        result = CliRunner().invoke(root, ["--folder", str(world.home.path), "explain", "-"], text)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result


REQUEST: Final = "vO3mZ0a9Qk2xYb7cLr5W"


class TestRequests:
    """An id from X-Request-Id is looked for in the audit log."""

    @pytest.fixture
    def audited(self, tmp_path: Path) -> Path:
        (tmp_path / "audit").mkdir()
        entry = {
            "name": "request.refused",
            "at": 1_800_000_000,
            "request_id": REQUEST,
            "client_id": "portal",
            "grant_id": 7,
            "endpoint": "/oauth/token",
            "code": "invalid_grant",
            "check": "refresh_token",
            "expected": "generation 2",
            "got": "generation 1",
        }
        other = {**entry, "request_id": "another-request-id", "reason": f"mentions {REQUEST}"}
        lines = [json.dumps(other), json.dumps(entry), f'{{"cut": "{REQUEST}']
        (tmp_path / "audit" / "000001.jsonl").write_text("\n".join(lines))
        return tmp_path

    def test_are_told_as_they_were_written_down(self, audited: Path) -> None:
        (found,) = explain_request(load(audited, {}), REQUEST)
        assert (found["client_id"], found["got"]) == ("portal", "generation 1")
        printed = CliRunner().invoke(root, ["--folder", str(audited), "explain", REQUEST])
        assert printed.exit_code == 0
        told = dict(line.split(maxsplit=1) for line in printed.stdout.splitlines())
        assert (told["at"], told["endpoint"], told["grant_id"]) == ("2027-01-15T08:00:00Z", "/oauth/token", "7")
        assert "keep the newest one" in told["next:"]

    def test_end_with_what_to_do_about_that_client(self, audited: Path) -> None:
        path = audited / "audit" / "000001.jsonl"
        path.write_text(path.read_text().replace('"refresh_token"', '"redirect_uri"'))
        printed = CliRunner().invoke(root, ["--folder", str(audited), "explain", REQUEST]).stdout
        assert "`jwtauth client change portal --redirect-uri" in printed.splitlines()[-1]

    @pytest.mark.parametrize("begins", ["-z_rt_Qk2xYb7cLr5WvO", "--help-me-with-this_1"])
    def test_may_begin_with_a_dash(self, audited: Path, begins: str) -> None:
        path = audited / "audit" / "000001.jsonl"
        path.write_text(path.read_text().replace(REQUEST, begins))
        printed = CliRunner().invoke(root, ["--folder", str(audited), "explain", begins])
        assert (printed.exit_code, "request.refused" in printed.stdout) == (0, True)

    def test_move_no_cursor(self, audited: Path) -> None:
        """A client_id that is refused is anybody's text."""
        path = audited / "audit" / "000001.jsonl"
        path.write_text(path.read_text().replace('"portal"', json.dumps("\x1b]0;x\x07\x1b[2J\u202e\x9b\r")))
        printed = CliRunner().invoke(root, ["--folder", str(audited), "explain", REQUEST]).stdout
        assert "[2J" in printed
        assert all(line.isprintable() for line in printed.split("\n"))

    def test_are_found_by_the_id_in_the_answer(self, world: World) -> None:
        refused = world.refresh(_used_before(world))
        assert refused.status_code == 400
        found = _entries(world, refused.headers["x-request-id"])
        (refusal,) = [entry for entry in found if entry["name"] == "request.refused"]
        assert (refusal["code"], refusal["check"]) == ("invalid_grant", "refresh_token")

    def test_that_are_not_there_are_one_clear_line(self, audited: Path) -> None:
        with pytest.raises(ConfigurationError, match="the audit log has no such request"):
            explain_request(load(audited, {}), "another-id-of-ours")
        result = CliRunner().invoke(root, ["--folder", str(audited), "explain", "another-id-of-ours"])
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
        assert "one of more than 50 refusals in its second (refusals.left_out)" in result.stderr


class TestRemedies:
    @pytest.mark.parametrize("check", remedies.REMEDIES)
    def test_name_commands_that_there_are(self, check: str) -> None:
        for line in re.findall("`jwtauth ([^`]+)`", remedies.REMEDIES[check]):
            words = re.findall("'[^']*'|[^ ]+", line)
            command: click.Command = root
            while isinstance(command, click.Group):
                found = command.get_command(click.Context(command), words.pop(0))
                assert found is not None, line
                command = found
            known = {option for param in command.params for option in param.opts}
            assert {word for word in words if word.startswith("--")} <= known, line

    def test_are_there_for_every_check_of_a_token_that_failed_above(self) -> None:
        failed = [check for table in (REFRESH_TOKENS, CODES) for *_, checks in table.values() for check in checks]
        failed += [check for _, checks in ACCESS_TOKENS.values() for check in checks if check != "claims"]
        assert set(failed) <= remedies.REMEDIES.keys()


def _entries(world: World, request_id: str) -> list[dict[str, Any]]:
    """What the audit log has of a request, once it is written: that is a moment after the answer."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return explain_request(world.home.source, request_id)
        except ConfigurationError:
            assert time.monotonic() < deadline
            time.sleep(0.02)

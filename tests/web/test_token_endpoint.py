"""The token endpoint over HTTP (RFC 6749 sections 3.2, 4.3, 4.4, 5, 6; RFC 8707 section 2)."""

import json
from typing import Any

import pytest

from jwtauth.protocol.records import GrantType
from tests.support.home import PASSWORD, SECRET
from tests.web.site import FORM, RESOURCE, Site, assert_refused, claims_of, decoded

MACHINE = {"grant_type": "client_credentials"}
PERSON = {"grant_type": "password", "username": "ada", "password": PASSWORD}
ODD_IDS = (
    "' OR '1'='1",
    "service'--",
    "service; DROP TABLE clients",
    'service" UNION SELECT * FROM users --',
    "%",
    "*",
    "../service",
    "SERVICE",
    "service ",
    " service",
    "ｓervice",
    "service\u200b",
    "0",
    "-1",
    "a" * 20_000,
)


class TestSuccessfulResponse:  # RFC 6749 section 5.1
    def test_has_these_members_for_a_machine_and_no_refresh_token(self, site: Site) -> None:
        answer = site.granted(MACHINE)
        assert set(answer) == {"access_token", "token_type", "expires_in", "scope"}
        assert answer["token_type"] == "Bearer"
        assert answer["scope"] == "read write"
        assert type(answer["expires_in"]) is int
        assert answer["expires_in"] == 3600

    def test_has_these_members_for_a_person(self, site: Site) -> None:
        answer = site.granted(PERSON)
        assert set(answer) == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
        assert all(type(answer[name]) is str for name in answer if name != "expires_in")

    def test_has_the_same_members_after_a_refresh_with_both_tokens_new(self, site: Site) -> None:
        first = site.person()
        second = site.refresh(first["refresh_token"]).json()
        assert set(second) == set(first)
        assert second["access_token"] != first["access_token"]
        assert second["refresh_token"] != first["refresh_token"]
        assert second["scope"] == first["scope"]

    def test_has_no_refresh_token_where_the_client_may_not_refresh(self, site: Site) -> None:
        assert "refresh_token" not in site.granted(PERSON, auth=("oneshot", SECRET))

    @pytest.mark.parametrize("form", [MACHINE, PERSON], ids=["machine", "person"])
    def test_is_never_stored(self, site: Site, form: dict[str, str]) -> None:
        response = site.token(form)
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["pragma"] == "no-cache"
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in response.headers
        assert "server" not in response.headers
        assert not [name for name in response.headers if name.startswith("access-control")]

    def test_gives_an_access_token_as_rfc_9068_wants_it(self, site: Site) -> None:
        token = site.granted(PERSON)["access_token"]
        header = json.loads(decoded(token.split(".")[0]))
        assert header["typ"] == "at+jwt"
        assert header["alg"] == "ES256"
        claims = claims_of(token)
        assert claims["iss"] == site.server.url
        assert claims["sub"] == "u.ada"
        assert claims["client_id"] == "service"
        assert claims["aud"] == site.home.realm().audience
        assert claims["authorities"] == ["ROLE_USER"]
        assert claims["username"] == "ada"
        assert type(claims["uid"]) is int
        assert claims["exp"] - claims["iat"] == 3600
        assert claims["status"]["status_list"]["uri"].startswith(f"{site.server.url}/oauth/status/")

    def test_gives_a_machine_a_token_about_itself(self, site: Site) -> None:
        claims = claims_of(site.machine())
        assert claims["sub"] == claims["client_id"] == "service"
        assert claims["authorities"] == ["ROLE_SERVICE"]
        assert not {"username", "uid"} & set(claims)

    def test_names_another_position_and_jti_in_every_token(self, site: Site) -> None:
        seen = [claims_of(site.machine()) for _ in range(100)]
        places = {(claims["status"]["status_list"]["uri"], claims["status"]["status_list"]["idx"]) for claims in seen}
        assert len(places) == len({claims["jti"] for claims in seen}) == 100

    def test_writes_no_row_for_a_machine(self, site: Site) -> None:
        with site.writing_nothing():
            site.machine()


class TestScope:  # RFC 6749 section 3.3
    @pytest.mark.parametrize(
        ("asked", "given"),
        [
            ("read", "read"),
            ("write read", "write read"),
            ("read read", "read"),
            ("  read   write ", "read write"),
            ("", "read write"),
        ],
    )
    def test_is_what_was_asked_for(self, site: Site, asked: str, given: str) -> None:
        answer = site.granted({**MACHINE, "scope": asked})
        assert answer["scope"] == claims_of(answer["access_token"])["scope"] == given

    def test_is_the_clients_default_where_none_was_asked_for(self, site: Site) -> None:
        assert site.granted(MACHINE, auth=("batch", SECRET))["scope"] == "read"

    @pytest.mark.parametrize(
        "asked",
        [
            "admin",
            "read admin",
            "READ",
            "read,write",
            "read\twrite",
            "read\nwrite",
            'read"',
            "read\\",
            "é",
            "*",
            "read " * 500,
            "a" * 2049,
        ],
    )
    @pytest.mark.parametrize("form", [MACHINE, PERSON], ids=["machine", "person"])
    def test_is_refused_where_it_is_malformed_or_too_wide(self, site: Site, form: dict[str, str], asked: str) -> None:
        with site.writing_nothing():
            assert_refused(site.token({**form, "scope": asked}), 400, "invalid_scope")


class TestResource:  # RFC 8707 section 2
    @pytest.mark.parametrize("form", [MACHINE, PERSON], ids=["machine", "person"])
    def test_becomes_the_audience(self, site: Site, form: dict[str, str]) -> None:
        assert claims_of(site.granted({**form, "resource": RESOURCE})["access_token"])["aud"] == RESOURCE

    def test_may_be_repeated(self, site: Site) -> None:
        form = [*MACHINE.items(), ("resource", RESOURCE), ("resource", "https://bills.example/api")]
        assert claims_of(site.granted(form)["access_token"])["aud"] == [RESOURCE, "https://bills.example/api"]

    def test_counts_once_where_it_is_repeated(self, site: Site) -> None:
        form = [*MACHINE.items(), ("resource", RESOURCE), ("resource", RESOURCE), ("resource", "")]
        assert claims_of(site.granted(form)["access_token"])["aud"] == RESOURCE

    @pytest.mark.parametrize(
        "resources",
        [
            ("https://foreign.example",),
            (RESOURCE, "https://foreign.example"),
            (f"{RESOURCE}#fragment",),
            (f"{RESOURCE}#",),
            (f"{RESOURCE}/",),
            (f"{RESOURCE}.evil.example",),
            ("HTTPS://reports.example",),
            ("reports.example",),
            ("/relative",),
            ("http://[",),
            ("x" * 5000,),
            (RESOURCE,) * 9,
        ],
    )
    @pytest.mark.parametrize("form", [MACHINE, PERSON], ids=["machine", "person"])
    def test_j_14_is_refused_where_it_is_not_one_of_the_clients(
        self, site: Site, form: dict[str, str], resources: tuple[str, ...]
    ) -> None:
        with site.writing_nothing():
            pairs = [*form.items(), *(("resource", resource) for resource in resources)]
            assert_refused(site.token(pairs), 400, "invalid_target")

    def test_f_11_stays_narrow_through_a_refresh_and_cannot_be_widened(self, site: Site) -> None:
        granted = site.granted({**PERSON, "resource": RESOURCE})
        wider = site.refresh(granted["refresh_token"], resource="https://bills.example/api")
        assert_refused(wider, 400, "invalid_target")
        refreshed = site.refresh(granted["refresh_token"]).json()
        assert claims_of(refreshed["access_token"])["aud"] == RESOURCE

    def test_j_14_cannot_be_added_by_a_refresh(self, site: Site) -> None:
        assert_refused(site.refresh(site.person()["refresh_token"], resource=RESOURCE), 400, "invalid_target")


class TestMalformedRequest:  # RFC 6749 sections 3.2 and 5.2
    @pytest.mark.parametrize(
        "form",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"=", id="nothing but a sign"),
            pytest.param(b"&&&", id="nothing but separators"),
            pytest.param(b"grant_type=", id="empty grant type is absent"),
            pytest.param(b"GRANT_TYPE=client_credentials", id="names are case-sensitive"),
            pytest.param(b"grant_type[]=client_credentials", id="array syntax"),
            pytest.param(b"grant_type=client_credentials&grant_type=client_credentials", id="repeated"),
            pytest.param(b"grant_type=client_credentials&grant_type=password", id="contradictory"),
            pytest.param(b"grant_type=client_credentials&grant_type=", id="repeated, once empty"),
            pytest.param(b"grant_type=client_credentials&scope=read&scope=write", id="scope twice"),
            pytest.param(b"grant_type=client_credentials&foo=1&foo=2", id="unknown parameter twice"),
            pytest.param(b"grant_type=client_credentials&scope=read%00", id="NUL"),
            pytest.param(b"grant_type=client_credentials%00", id="NUL behind the grant type"),
            pytest.param(b"grant_type=client_credentials&foo=%00", id="NUL in an unknown parameter"),
            pytest.param(b"grant_type=client_credentials&resource=%00", id="NUL in a resource"),
            pytest.param(b"grant_type=client_credentials&foo=%ff", id="no UTF-8"),
            pytest.param(b"grant_type=client_credentials&foo=%c0%af", id="overlong UTF-8"),
            pytest.param(b"grant_type=client_credentials&foo=%ed%a0%80", id="surrogate"),
            pytest.param(b"grant_type=client_credentials&foo=%f5%80%80%80", id="beyond Unicode"),
            pytest.param(b"grant_type=client_credentials&foo=\xc3\xa9", id="raw UTF-8"),
            pytest.param(b"grant_type=client_credentials&foo=\xff", id="raw byte"),
            pytest.param(b"grant_type=client_credentials&foo=%zz", id="broken percent"),
            pytest.param(b"grant_type=client_credentials&foo=%", id="lone percent"),
            pytest.param(b"grant_type=client_credentials&foo=%4", id="half a percent"),
            pytest.param(b"grant_type=client_credentials&%u0041=1", id="percent u"),
            pytest.param(b"grant_type=client_credentials" + b"&a=1" * 64, id="65 parameters"),
            pytest.param(b"grant_type=client_credentials" + b"&a%d=1" * 64, id="broken percent, 65 times"),
            pytest.param(b"grant_type=client_credentials" + b"&" * 20_000, id="20,000 separators"),
            pytest.param(b"grant_type=client_credentials" + b"&resource=x" * 2_000, id="2,000 resources"),
            pytest.param(b"grant_type=client_credentials;scope=read", id="semicolon is no separator"),
            pytest.param(b'{"grant_type":"client_credentials"}', id="JSON called a form"),
        ],
    )
    def test_is_an_invalid_request(self, site: Site, form: bytes) -> None:
        with site.writing_nothing():
            response = site.token(form)
        assert response.json()["error"] in ("invalid_request", "unsupported_grant_type")
        assert_refused(response, 400, response.json()["error"])

    @pytest.mark.parametrize(
        "form",
        [
            {"grant_type": "password"},
            {"grant_type": "password", "username": "ada"},
            {"grant_type": "password", "password": PASSWORD},
            {"grant_type": "password", "username": "", "password": PASSWORD},
            {"grant_type": "password", "username": "ada", "password": ""},
            {"grant_type": "password", "username": "a" * 257, "password": PASSWORD},
            {"grant_type": "password", "username": "ada", "password": "p" * 1025},
            {"grant_type": "password", "username": "ada", "password": "é" * 513},
            {"grant_type": "refresh_token"},
            {"grant_type": "refresh_token", "refresh_token": ""},
            {"grant_type": "authorization_code"},
            {"grant_type": "authorization_code", "code": ""},
        ],
        ids=str,
    )
    def test_lacks_or_exceeds_what_its_grant_needs(self, site: Site, form: dict[str, str]) -> None:
        with site.writing_nothing():
            assert_refused(site.token(form), 400, "invalid_request")

    @pytest.mark.parametrize(
        "grant_type",
        [
            "code",
            "Authorization_Code",
            "implicit",
            "external-token",
            "urn:ietf:params:oauth:grant-type:device_code",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "Client_Credentials",
            "client_credentials ",
            " client_credentials",
            "client_credentials\n",
            "client_credentials,password",
            "client-credentials",
            "none",
            "null",
            "é",
            "x" * 5000,
        ],
    )
    def test_c_11_names_a_grant_that_is_not_here(self, site: Site, grant_type: str) -> None:
        with site.writing_nothing():
            assert_refused(site.token({**PERSON, "grant_type": grant_type}), 400, "unsupported_grant_type")

    def test_names_a_grant_that_needs_another_server_where_the_realm_trusts_none(self, site: Site) -> None:
        form = {**PERSON, "grant_type": GrantType.EXTERNAL_TOKEN, "access_token": "foreign"}
        with site.writing_nothing():
            assert_refused(site.token(form), 400, "unsupported_grant_type")

    @pytest.mark.parametrize("grant_type", [GrantType.PASSWORD, GrantType.REFRESH_TOKEN])
    def test_names_a_grant_that_is_not_the_clients(self, site: Site, grant_type: str) -> None:
        refresh_token = site.person()["refresh_token"]
        form = {**PERSON, "grant_type": grant_type, "refresh_token": refresh_token}
        with site.writing_nothing():
            assert_refused(site.token(form, auth=("batch", SECRET)), 400, "unauthorized_client")

    def test_ignores_parameters_that_it_does_not_know(self, site: Site) -> None:
        site.granted({**MACHINE, "foo": "bar", "nonce": "x", "code": "y", "": "z"})

    def test_takes_empty_parameters_as_absent(self, site: Site) -> None:
        site.granted({**MACHINE, "scope": "", "resource": "", "client_secret": "", "client_id": "", "code": ""})

    def test_takes_64_parameters(self, site: Site) -> None:
        site.granted(b"grant_type=client_credentials" + b"".join(b"&a%x=1" % number for number in range(63)))

    @pytest.mark.parametrize("value", ODD_IDS)
    def test_survives_odd_usernames(self, site: Site, value: str) -> None:
        before = site.dump(("users", "clients"))
        response = site.token({**PERSON, "username": value})
        assert response.status_code in (400, 429)
        assert response.json()["error"] in ("invalid_grant", "invalid_request")
        assert site.dump(("users", "clients")) == before

    @pytest.mark.parametrize("username", ["o'brien; DROP TABLE users --", "münchen"])
    def test_signs_in_people_with_odd_names(self, site: Site, username: str) -> None:
        assert claims_of(site.person(username)["access_token"])["username"] == username


class TestMediaTypes:  # RFC 6749 section 3.2
    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("application/json", json.dumps(MACHINE).encode()),
            ("application/json", b"grant_type=client_credentials"),
            (
                "multipart/form-data; boundary=x",
                b'--x\r\nContent-Disposition: form-data; name="grant_type"\r\n\r\nclient_credentials\r\n--x--\r\n',
            ),
            ("text/plain", b"grant_type=client_credentials"),
            ("application/x-www-form-urlencodedx", b"grant_type=client_credentials"),
            ("application/x-www-form-urlencoded, application/json", b"grant_type=client_credentials"),
            ("", b"grant_type=client_credentials"),
        ],
    )
    def test_c_13_are_refused_unless_a_form(self, site: Site, content_type: str, body: bytes) -> None:
        with site.writing_nothing():
            assert_refused(site.token(body, headers={"Content-Type": content_type}), 415, "invalid_request")

    @pytest.mark.parametrize("content_type", [f"{FORM}; charset=UTF-8", FORM.upper(), f"{FORM} ;x=y", f"{FORM};"])
    def test_of_a_form_may_have_parameters_and_any_case(self, site: Site, content_type: str) -> None:
        assert site.token(MACHINE, headers={"Content-Type": content_type}).status_code == 200


class TestMethods:  # RFC 6749 section 3.2
    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE"])
    def test_p_07_but_post_are_not_allowed(self, site: Site, method: str) -> None:
        response = site.http.request(method, "/oauth/token", params=MACHINE, auth=("service", SECRET))
        assert response.status_code == 405
        assert response.headers["allow"] == "POST"
        assert response.headers["cache-control"] == "no-store"
        assert "access_token" not in response.text


class TestSize:
    @pytest.mark.parametrize("size", [65_537, 70_000, 10_000_000])
    def test_d_01_above_the_limit_is_refused(self, site: Site, size: int) -> None:
        body = b"grant_type=client_credentials&padding=".ljust(size, b"a")
        with site.writing_nothing():
            assert_refused(site.token(body), 413, "invalid_request")

    def test_at_the_limit_is_read(self, site: Site) -> None:
        assert site.token(b"grant_type=client_credentials&padding=".ljust(65_536, b"a")).status_code == 200


class TestQuery:  # RFC 6749 section 2.3.1
    @pytest.mark.parametrize(
        "name",
        ["client_id", "client_secret", "grant_type", "username", "password", "code", "refresh_token", "token"],
    )
    def test_c_05_is_no_place_for_what_must_not_be_logged(self, site: Site, name: str) -> None:
        with site.writing_nothing():
            response = site.post(f"/oauth/token?{name}=a-value-that-no-log-may-see", MACHINE)
        assert_refused(response, 400, "invalid_request")
        assert name in response.json()["error_description"]
        assert "a-value-that-no-log-may-see" not in response.text + site.server.log.read_text()

    @pytest.mark.parametrize("name", ["scope", "resource"])
    def test_is_no_place_for_what_would_not_be_heeded(self, site: Site, name: str) -> None:
        with site.writing_nothing():
            response = site.post(f"/oauth/token?{name}=read", MACHINE)
        assert_refused(response, 400, "invalid_request")

    def test_c_05_alone_is_never_enough(self, site: Site) -> None:
        with site.writing_nothing():
            query = f"grant_type=client_credentials&client_id=service&client_secret={SECRET}"
            assert_refused(site.post(f"/oauth/token?{query}", auth=None), 400, "invalid_request")

    @pytest.mark.parametrize("query", ["foo=%zz", "foo=%ff", "foo=1&foo=2", "foo=%00", "a=1&" * 65])
    def test_is_read_as_strictly_as_the_body(self, site: Site, query: str) -> None:
        with site.writing_nothing():
            assert_refused(site.post(f"/oauth/token?{query}", MACHINE), 400, "invalid_request")


class TestPassword:  # RFC 6749 section 4.3
    def test_tells_nobody_why_it_was_refused(self, site: Site) -> None:
        """Unknown, wrong, disabled and no member look alike, the right password of a disabled person too."""
        answers: list[tuple[int, str, list[str]]] = []
        for username, password in [
            ("nobody", PASSWORD),
            ("ada", "wrong"),
            ("eve", PASSWORD),
            ("eve", "wrong"),
            ("bob", PASSWORD),
            ("bob", "wrong"),
            ("ADA", PASSWORD),
            ("ada", PASSWORD.upper()),
            ("ada", PASSWORD + " "),
        ]:
            response = site.token({**PERSON, "username": username, "password": password})
            assert_refused(response, 400, "invalid_grant")
            answers.append((response.status_code, response.text, sorted(response.headers)))
        assert len({str(answer) for answer in answers}) == 1
        site.granted(PERSON)  # forgets the wrong ones

    def test_works_for_a_public_client_without_a_secret(self, site: Site) -> None:
        granted = site.granted({**PERSON, "client_id": "portal"}, auth=None)
        refreshed = site.refresh(granted["refresh_token"], auth=None, client_id="portal")
        assert refreshed.status_code == 200
        assert claims_of(refreshed.json()["access_token"])["client_id"] == "portal"

    def test_of_a_thousand_bytes_is_hashed_and_one_more_kilobyte_is_not(self, site: Site) -> None:
        response = site.token({**PERSON, "username": "nobody-else", "password": "p" * 1024})
        assert_refused(response, 400, "invalid_grant")


class TestRefresh:  # RFC 6749 section 6
    def test_f_02_cannot_widen_the_scope_and_the_token_stays_good(self, site: Site) -> None:
        token = site.granted({**PERSON, "scope": "read"})["refresh_token"]
        with site.writing_nothing():
            assert_refused(site.refresh(token, scope="read write"), 400, "invalid_scope")
        assert site.refresh(token, scope="read").json()["scope"] == "read"

    def test_may_narrow_the_scope_of_the_access_token_only(self, site: Site) -> None:
        narrowed = site.refresh(site.person()["refresh_token"], scope="read").json()
        assert narrowed["scope"] == "read"
        assert site.refresh(narrowed["refresh_token"]).json()["scope"] == "read write"

    def test_f_03_of_another_clients_token_is_refused_and_ends_nothing(self, site: Site) -> None:
        granted = site.person()
        used = granted["refresh_token"]
        current = site.refresh(used).json()["refresh_token"]
        with site.writing_nothing():
            for token in (used, current):
                assert_refused(site.refresh(token, auth=("other", SECRET)), 400, "invalid_grant")
                assert_refused(site.refresh(token, auth=None, client_id="portal"), 400, "invalid_grant")
                assert_refused(site.refresh(token, auth=("foreigner", SECRET)), 400, "invalid_grant")
        assert site.refresh(current).status_code == 200

    def test_f_04_needs_the_clients_authentication(self, site: Site) -> None:
        token = site.person()["refresh_token"]
        with site.writing_nothing():
            assert_refused(site.refresh(token, auth=None, client_id="service"), 401, "invalid_client")
            assert_refused(site.refresh(token, auth=None), 401, "invalid_client")

    def test_f_05_is_not_burnt_by_failed_attempts(self, site: Site) -> None:
        token = site.person()["refresh_token"]
        attempts: list[dict[str, Any]] = [
            {"auth": ("service", "wrong")},
            {"auth": ("other", SECRET)},
            {"auth": None, "client_id": "service"},
            {"scope": "admin"},
            {"resource": "https://foreign.example"},
            {"auth": ("batch", SECRET)},
        ]
        with site.writing_nothing():
            for attempt in attempts:
                assert site.refresh(token, **attempt).status_code in (400, 401)
        assert site.refresh(token).status_code == 200

    def test_f_08_refuses_garbage(self, site: Site) -> None:
        good = site.person()["refresh_token"]
        flipped = [good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :] for place in range(3, 51)]
        odd = [
            "x",
            "rt_",
            "rt_" + "A" * 48,
            "rt_" + "*" * 48,
            good[:-1],
            good + "A",
            good + "=",
            good.upper(),
            "é" * 51,
        ]
        odd += [good.replace("rt_", "RT_"), " " + good, good + " ", "rt_" + "A" * 5000, "null", "0"]
        with site.writing_nothing():
            for token in flipped + odd:
                assert_refused(site.refresh(token), 400, "invalid_grant")
        assert site.refresh(good).status_code == 200

    def test_f_09_refuses_an_access_token(self, site: Site) -> None:
        granted = site.person()
        with site.writing_nothing():
            assert_refused(site.refresh(granted["access_token"]), 400, "invalid_grant")

    def test_f_07_of_a_used_token_ends_the_grant(self, site: Site) -> None:
        first = site.person()
        second = site.refresh(first["refresh_token"]).json()
        third = site.refresh(second["refresh_token"]).json()
        assert_refused(site.refresh(first["refresh_token"]), 400, "invalid_grant")
        assert_refused(site.refresh(third["refresh_token"]), 400, "invalid_grant")
        for granted in (first, second, third):
            assert not site.is_active(granted["access_token"])

    def test_never_takes_a_retry_where_the_realm_is_strict(self, site: Site) -> None:
        """Also where the rotation seems to lie in the future: another began earlier, or the clock went back (S-06)."""
        site.home.realm(retry_in=0)
        try:
            first = site.person()
            second = site.refresh(first["refresh_token"]).json()
            assert site.execute("UPDATE grants SET rotated_at = rotated_at + 5 WHERE ended_at IS NULL") >= 1
            assert_refused(site.refresh(first["refresh_token"]), 400, "invalid_grant")
            assert not site.is_active(second["access_token"])
        finally:
            site.home.realm(retry_in=30)

    def test_gives_a_reusing_client_the_same_token_again(self, site: Site) -> None:
        token = site.person(auth=("u-reusing", SECRET))["refresh_token"]
        for _ in range(3):
            assert site.refresh(token, auth=("u-reusing", SECRET)).json()["refresh_token"] == token

    def test_ends_the_old_access_token_where_the_realm_renews_positions(self, site: Site) -> None:
        site.home.realm(renews_position=True, retry_in=0)
        try:
            first = site.person()
            second = site.refresh(first["refresh_token"]).json()
            assert not site.is_active(first["access_token"])
            assert site.is_active(second["access_token"])
        finally:
            site.home.realm(renews_position=False, retry_in=30)

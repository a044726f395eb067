"""A machine's whole story over real HTTP: token, use, revocation, end."""

from collections.abc import Callable

import httpx

from tests.support.home import SECRET, Home
from tests.support.live import LiveServer


class TestAMachine:
    def test_gets_a_token_that_dies_when_revoked(self, home: Home, serve: Callable[..., LiveServer]) -> None:
        home.client("service")
        server = serve(home)
        with httpx.Client(base_url=server.url, verify=False, auth=("service", SECRET)) as service:
            granted = service.post("/oauth/token", data={"grant_type": "client_credentials"}).json()
            token = {"token": granted["access_token"]}
            assert service.post("/oauth/introspect", data=token).json()["active"] is True
            assert service.post("/oauth/revoke", data=token).status_code == 200
            assert service.post("/oauth/introspect", data=token).json() == {"active": False}

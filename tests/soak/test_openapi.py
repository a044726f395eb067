"""The OpenAPI document says of every machines' endpoint what it answers, whatever it is sent (OpenAPI 3.1).

schemathesis reads the document as clients' generators do, and sends what the document allows and what it does not.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.home import PASSWORD, SECRET
from tests.support.neighbours import NEIGHBOURS, client_id_of
from tests.support.person import CALLBACK
from tests.web.people import Service, populate
from tests.web.site import basic

schemathesis = pytest.importorskip("schemathesis", reason='the OpenAPI document is not tried: pip install ".[soak]"')

EXAMPLES: Final = 3
"""Requests to each endpoint, times `--soak`."""

CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
GRANT_TYPES: Final = ("authorization_code", "client_credentials", "password", "refresh_token", "external_token")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A realm of each older system, so that the document has all paths."""
    service = Service(tmp_path_factory.mktemp("described"))
    populate(service)
    service.home.client("service", default_scope=("read",))
    with service:
        yield service
    assert "Traceback" not in service.server.log.read_text()


class Wallet:
    """Values that mean something, by the parameters that carry them, and ways to authenticate."""

    def __init__(self, service: Service) -> None:
        person = service.person()
        clients = ["service", *(client_id_of(name) for name in NEIGHBOURS)]
        tokens = [person["access_token"], service.machine(), person["refresh_token"]]
        self.values: Mapping[str, list[str]] = {
            "grant_type": [*GRANT_TYPES],
            "client_id": clients,
            "clientId": clients,
            "client_secret": [SECRET],
            "username": ["ada"],
            "password": [PASSWORD],
            "scope": ["read", "openid"],
            "redirect_uri": [CALLBACK],
            **dict.fromkeys(("token", "access_token", "accessToken", "refresh_token", "refreshToken", "code"), tokens),
        }
        self.headers: list[dict[str, str]] = [
            {},
            *({"authorization": basic(client_id, SECRET)} for client_id in clients),
            {"authorization": basic("service", "a-wrong-secret")},
            *({"authorization": f"Bearer {token}"} for token in tokens),
        ]

    def sent(self, sent: Any, draw: Callable[..., Any]) -> Any:
        """What was made up, with some of its parameters replaced by those that mean something."""
        if not isinstance(sent, dict):
            return sent
        return {
            name: draw(st.sampled_from(self.values[name])) if name in self.values and draw(st.booleans()) else value
            for name, value in sent.items()
        }


def test_what_it_says_is_what_is_answered(service: Service, scale: int) -> None:
    """Of all paths, also those of older systems."""
    wallet = Wallet(service)
    document = schemathesis.openapi.from_dict(service.http.get("/openapi.json").json())
    problems = [
        problem
        for found in document.get_all_operations()
        if (problem := tried(service, wallet, found.ok(), examples=EXAMPLES * scale))
    ]
    assert not problems, "\n\n".join(problems)


def tried(service: Service, wallet: Wallet, operation: Any, *, examples: int) -> str:
    """What an endpoint does that its description does not say; empty where there is nothing."""
    checks = schemathesis.checks.CHECKS.get_by_names(CHECKS)
    allowed, other = (operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode)

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(allowed | other, st.sampled_from(wallet.headers), st.data())
    def holds(case: Any, headers: dict[str, str], data: st.DataObject) -> None:
        case.query = wallet.sent(case.query, data.draw)
        case.body = wallet.sent(case.body, data.draw)
        case.headers.pop("authorization", None)
        response = case.call(base_url=service.server.url, headers=headers, timeout=20)
        case.validate_response(response, checks=checks)

    try:
        holds()
    except BaseExceptionGroup as problem:
        return f"{operation.label}: {problem}"
    return ""

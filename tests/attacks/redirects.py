"""What the browser is told to carry back to the application."""

from urllib.parse import parse_qsl, urlsplit

import httpx

from tests.support.person import CALLBACK
from tests.web.people import Service


def carried(response: httpx.Response) -> dict[str, str]:
    """What the client hears, in the query or in the fragment; nothing twice."""
    assert response.status_code == 303, response.status_code
    parts = urlsplit(response.headers["location"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == CALLBACK
    assert not (parts.query and parts.fragment)
    pairs = parse_qsl(parts.query or parts.fragment, strict_parsing=True, keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def assert_told(service: Service, response: httpx.Response, *errors: str) -> None:
    """The client hears of the error, whose answer it is, and gets nothing else (SECURITY Z-02, Z-13)."""
    told = carried(response)
    assert told.pop("error") in errors, told
    description = told.pop("error_description")
    assert all(" " <= character <= "~" and character not in '"\\' for character in description)
    assert told == {"state": "a-state", "iss": service.server.url}

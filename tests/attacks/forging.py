"""Requests that no page of ours would make."""

from collections.abc import Mapping
from typing import Final

import httpx

from tests.support.home import PASSWORD
from tests.support.person import Person, find_form

EVIL: Final = "https://evil.example/callback"

INJECTIONS: Final = (
    "' OR 1=1 --",
    "web'--",
    'web" OR ""="',
    "web; DROP TABLE clients",
    "web' UNION SELECT * FROM users--",
)


def hidden(page: httpx.Response, name: str) -> str:
    """A hidden or prefilled field of the page."""
    return find_form(page, [name]).values[name]


def send(
    person: Person, page: httpx.Response, changes: Mapping[str, str], *, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """Post the page's first form with whatever an attacker would change or add; "" leaves a field out."""
    form = find_form(page, ["csrf"])
    fields = {name: value for name, value in {**form.values, **changes}.items() if value != ""}
    sent = {"origin": person.url} if headers is None else headers
    return person.http.post(form.action, data=fields, headers=sent)


def tried(
    person: Person, page: httpx.Response, changes: Mapping[str, str], *, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """The same, and where it leads."""
    return person.follow(send(person, page, changes, headers=headers))


def credentials(username: str = "ada", password: str = PASSWORD) -> dict[str, str]:
    """What the person fills in on a sign-in page."""
    return {"username": username, "password": password}


def cookie(person: Person, kind: str) -> str:
    """The value of the cookie `browser` or `session`; empty where there is none."""
    return next((found.value or "" for found in person.http.cookies.jar if f"jwtauth-{kind}" in found.name), "")


def cookie_name(person: Person, kind: str) -> str:
    """What the cookie is called here."""
    return f"jwtauth-{kind}-{httpx.URL(person.url).port}"


def plant(person: Person, kind: str, value: str) -> None:
    """Give the browser this cookie."""
    person.http.cookies.set(cookie_name(person, kind), value, domain="127.0.0.1", path="/")


def unsigned(token: str) -> str:
    """The same claims under no signature."""
    return f"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{token.split('.')[1]}."

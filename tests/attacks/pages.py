"""What a page is made of, as a browser would parse it."""

from html.parser import HTMLParser
from typing import Final

import httpx

_LEADING: Final = ("href", "src", "action", "formaction", "http-equiv")
"""Attributes that can lead a browser somewhere."""

_ACTIVE: Final = ("script", "iframe", "object", "embed", "base", "svg", "math", "link")


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data


def _parsed(page: httpx.Response) -> _Parser:
    parser = _Parser()
    parser.feed(page.text)
    parser.close()
    return parser


def text(page: httpx.Response) -> str:
    """What stands between the elements."""
    return _parsed(page).text


def skeleton(page: httpx.Response) -> list[tuple[str, tuple[str, ...]]]:
    """The elements with the names of their attributes: what a value from outside must never change."""
    return [(tag, tuple(attributes)) for tag, attributes in _parsed(page).elements]


def leads(page: httpx.Response) -> set[str]:
    """Every address that the page could lead a browser to."""
    return {value for _, attributes in _parsed(page).elements for name, value in attributes.items() if name in _LEADING}


def active(page: httpx.Response) -> list[tuple[str, dict[str, str]]]:
    """Whatever could run or load something: active elements, handlers, style attributes, javascript: addresses."""
    return [
        (tag, attributes)
        for tag, attributes in _parsed(page).elements
        if tag in _ACTIVE
        or any(name.startswith("on") or name == "style" for name in attributes)
        or any(value.strip().lower().startswith(("javascript:", "data:")) for value in attributes.values())
    ]


def assert_stays(page: httpx.Response, *statuses: int) -> None:
    """The browser is shown a page of ours; it is not sent away from it, and nothing on it leads away."""
    assert page.status_code in (statuses or (400,)), (page.status_code, dict(page.headers))
    assert "location" not in page.headers
    assert "refresh" not in page.headers
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert {address for address in leads(page) if not address.startswith("/") or address.startswith("//")} == set()
    assert {attributes["href"] for tag, attributes in active(page) if tag == "link"} == {"/mark.svg", "/style.css"}
    assert [tag for tag, _ in active(page) if tag != "link"] == []

"""An answer says the same whichever way it leaves, and nothing that stands in it becomes a header field of its own."""

import asyncio
from typing import Any

import pytest

from jwtauth.web import reply
from jwtauth.web.reply import Fields, Reply

MORE = [(b"x-request-id", b"abcdefgh")]


def by_asgi(answer: Reply) -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(answer.send(send))
    return sent


def on_the_wire(answer: Reply, *, closes: bool = False, is_head: bool = False) -> bytes:
    return answer.on_the_wire(b"date: today\r\n", closes=closes, is_head=is_head)


def test_has_its_status_its_fields_and_its_length() -> None:
    answer = reply.of_json(400, {"error": "invalid_request"}, MORE)
    head, _, body = on_the_wire(answer).partition(b"\r\n\r\n")
    assert body == b'{"error":"invalid_request"}'
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 400 Bad Request",
        b"date: today",
        *(b"%b: %b" % field for field in (*reply.AS_JSON.pairs, *MORE)),
        b"content-length: 27",
    ]
    start, end = by_asgi(answer)
    assert start["status"] == 400
    assert start["headers"] == [*reply.AS_JSON.pairs, *MORE, (b"content-length", b"27")]
    assert (end["body"], end["more_body"]) == (body, False)


@pytest.mark.parametrize("status", [204, 304])
def test_without_a_body_has_no_length_either(status: int) -> None:
    answer = Reply(status, reply.EMPTY)
    assert b"content-length" not in on_the_wire(answer)
    assert b"content-length" not in dict(by_asgi(answer)[0]["headers"])


def test_to_head_has_the_length_of_what_get_would_be_given() -> None:
    sent = on_the_wire(Reply(200, reply.AS_JSON, b"[1,2]"), is_head=True)
    assert sent.endswith(b"content-length: 5\r\n\r\n")


def test_says_where_the_connection_ends_with_it() -> None:
    assert b"\r\nconnection: close\r\n" in on_the_wire(Reply(200, reply.EMPTY), closes=True)
    assert b"connection" not in on_the_wire(Reply(200, reply.EMPTY))
    assert (b"connection", b"close") in by_asgi(Reply(413, reply.EMPTY, closes=True))[0]["headers"]


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: x=y", b"a\n", b"\x00", b"a\x7f"])
def test_refuses_a_value_that_could_be_read_as_more_than_one_field(value: bytes) -> None:  # H-06
    with pytest.raises(ValueError, match="x-odd: not one line of text"):
        on_the_wire(Reply(200, reply.EMPTY, more=[(b"x-odd", value)]))
    with pytest.raises(ValueError, match="x-odd"):
        Fields([(b"x-odd", value)])


def test_takes_what_latin_1_and_tabs_say() -> None:
    assert b"x-odd: caf\xe9\tau lait\r\n" in on_the_wire(
        Reply(200, reply.EMPTY, more=[(b"x-odd", b"caf\xe9\tau lait")])
    )

"""The floor: the least that an ASGI application under uvicorn can do with a POST. Every figure is a ratio to it.

It is uvicorn as one installs it: nothing of the service is imported, neither its HTTP protocol nor what it sets about
garbage. So a document that the service has ready may come out above 1.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import click
import uvicorn

SIZE: Final = 300
"""Bytes of its answer, about those of a short JSON document."""

_START: Final[Mapping[str, Any]] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % SIZE)],
}
_BODY: Final[Mapping[str, Any]] = {"type": "http.response.body", "body": b"x" * SIZE, "more_body": False}


async def app(
    scope: Mapping[str, Any],
    receive: Callable[[], Awaitable[Mapping[str, Any]]],
    send: Callable[[Mapping[str, Any]], Awaitable[None]],
) -> None:
    """Read the body, answer 300 bytes; there is nothing but HTTP here (no lifespan, no websockets)."""
    message = await receive()
    while message.get("more_body"):
        message = await receive()
    await send(_START)
    await send(_BODY)


@click.command()
@click.option("--port", type=int, required=True)
def main(port: int) -> None:
    """Serve the floor with the HTTP server's options of the service."""
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
    )


if __name__ == "__main__":
    main()

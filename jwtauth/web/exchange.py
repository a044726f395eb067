"""A machine's request answered straight from the connection: no ASGI, and no task (docs/decisions/0018).

A story is run until it has its answer or waits for something, and goes on in the turn after that is done. It is in no
task: what needs one, as asyncio.timeout does, makes it.
"""

from asyncio import AbstractEventLoop, CancelledError, Future
from collections.abc import Coroutine, Mapping
from contextvars import Context, copy_context
from typing import Any, Protocol, cast

from jwtauth.issuer.together import Work
from jwtauth.observe.log import LOGGER
from jwtauth.web import errors, reply
from jwtauth.web.asgi import Replier
from jwtauth.web.reply import Headers, Reply
from jwtauth.web.turn import Turn
from jwtauth.web.types import HTTPScope

Story = Coroutine[Any, Any, Reply]


class Direct(Protocol):
    """An application that may be asked for the bare reply to some requests."""

    repliers: Mapping[str, Replier]
    """By path, those that it may be asked for."""
    turn: Turn
    """When it is asked."""

    def reply(self, scope: HTTPScope, source: bytes) -> Story:
        """The reply to a request for one of these paths, given its body."""


class Connection(Protocol):
    """Whom to answer."""

    loop: AbstractEventLoop

    def deliver(self, answer: Reply, *, is_head: bool) -> None:
        """Send an answer; nothing happens where nobody waits for it any more."""


class Exchange:
    """The requests of one connection that are answered directly, one at a time; to uvicorn its cycle like any other."""

    def __init__(self, app: Direct, connection: Connection) -> None:
        self._app = app
        self._connection = connection
        self._scope: HTTPScope | None = None
        self._body = b""
        self._story: Story | None = None
        self._answer: Reply | None = None
        self._context: Context
        """Of the story: which request it belongs to."""
        self.is_pending = False
        """Whether a head was read whose body is still missing: it may yet be answered in the other way."""
        self.response_started = False
        self.response_complete = True
        self.keep_alive = True
        self.disconnected = False
        self.message_event = _NOBODY

    def begin(self, method: bytes, target: bytes, headers: Headers, client: tuple[str, int] | None) -> bool:
        """Take a request whose head was read; False where the application wants ASGI for it."""
        path, _, query = target.partition(b"?")
        name = path.decode("latin-1")
        if name not in self._app.repliers or b"#" in query or not query.isascii():
            return False  # what is read in more than one way is read by uvicorn
        scope = {
            "type": "http",
            "method": method.decode("ascii"),
            "path": name,
            "query_string": query,
            "headers": headers,
            "client": client,
        }
        self._scope, self._body, self.is_pending = cast(HTTPScope, scope), b"", True
        return True

    def add(self, body: bytes) -> None:
        """A piece of its body."""
        self._body = self._body + body if self._body else body

    def withdraw(self) -> bytes:
        """Leave it to others, who get as much of the body as there is."""
        self.is_pending = False
        return self._body

    def complete(self) -> None:
        """It is there as a whole: from here on it is in progress."""
        self.is_pending = self.response_complete = False
        self._app.turn.take(self, self._connection.loop)

    def step(self) -> Work[Any] | None:
        """See `Asked.step`."""
        story = self._story or self._start()
        try:
            awaited = self._context.run(story.send, None)
        except StopIteration as ended:
            self._answer = ended.value
        except (Exception, CancelledError):  # the latter where what it waited for was given up
            LOGGER.exception("a request failed")
            self._answer = reply.of_json(500, errors.FAILED, [])
        else:
            if isinstance(awaited, Work):
                return awaited
            self._wait_for(awaited)
        return None

    def _start(self) -> Story:
        assert self._scope is not None
        self._context = copy_context()
        self._story = self._app.reply(self._scope, self._body)
        return self._story

    def _wait_for(self, awaited: Future[Any] | None) -> None:
        """Come back in the turn after that in which a future is done, or in the next where a story only makes way."""
        if awaited is None:
            self._connection.loop.call_soon(self._come_back)
        else:
            awaited._asyncio_future_blocking = False  # as whoever drives a coroutine has to
            awaited.add_done_callback(self._come_back)

    def _come_back(self, _: object = None) -> None:
        self._app.turn.take(self, self._connection.loop)

    def deliver(self) -> None:
        """See `Asked.deliver`."""
        answer, self._answer = self._answer, None
        if answer is None:
            return
        assert self._scope is not None
        is_head = self._scope["method"] == "HEAD"
        self._scope, self._body, self._story = None, b"", None  # an idle connection holds nothing
        self.response_complete = True
        self._connection.deliver(answer, is_head=is_head)


class _Nobody:
    """The event of a request that nobody waits for: its body was there."""

    def set(self) -> None:
        """Wake nobody."""


_NOBODY = _Nobody()

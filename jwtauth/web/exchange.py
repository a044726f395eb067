"""A machine's request answered straight from the connection: no ASGI, and mostly no task (docs/decisions/0018).

A story is run at once, until it has its answer or has to wait for something; only then it becomes a task. So a story is
outside of any task until it first waits: one that needs to be in a task before, as asyncio.timeout does, starts it.
"""

import types
from asyncio import AbstractEventLoop, CancelledError, Task
from collections.abc import Coroutine, Generator, Mapping
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
    tasks: set[Task[None]]
    """What is finished before the server stops."""

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
        assert self._scope is not None
        if self._story is None:
            self._story = self._app.reply(self._scope, self._body)
        try:
            awaited = self._story.send(None)
        except StopIteration as ended:
            self._deliver(ended.value)
        except (Exception, CancelledError):  # what it waited for was given up; it is no task that could be cancelled
            self._fail()
        else:
            if isinstance(awaited, Work):
                return awaited
            self._make_task(self._story, awaited)
        return None

    def _make_task(self, story: Story, awaited: object) -> None:
        task = self._connection.loop.create_task(self._finish(story, awaited))
        self._connection.tasks.add(task)
        task.add_done_callback(self._connection.tasks.discard)

    async def _finish(self, story: Story, awaited: object) -> None:
        try:
            answer = await _rest_of(story, awaited)
        except Exception:
            self._fail()
        else:
            self._deliver(answer)

    def _fail(self) -> None:
        LOGGER.exception("a request failed")
        self._deliver(reply.of_json(500, errors.FAILED, []))

    def _deliver(self, answer: Reply) -> None:
        assert self._scope is not None
        is_head = self._scope["method"] == "HEAD"
        self._scope, self._body, self._story = None, b"", None  # an idle connection holds nothing
        self.response_complete = True
        self._connection.deliver(answer, is_head=is_head)


@types.coroutine
def _rest_of(story: Story, awaited: object) -> Generator[Any, Any, Reply]:
    """The rest of a story that has begun and waits for something."""
    while True:
        try:
            try:
                sent = yield awaited
            except BaseException as thrown:  # a cancellation too is the story's affair
                awaited = story.throw(thrown)
            else:
                awaited = story.send(sent)
        except StopIteration as ended:
            answer: Reply = ended.value
            return answer


class _Nobody:
    """The event of a request that nobody waits for: its body was there."""

    def set(self) -> None:
        """Wake nobody."""


_NOBODY = _Nobody()

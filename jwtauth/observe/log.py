"""Log lines, for people or as JSON; a line break inside a value never starts a new line (SECURITY D-06)."""

import logging
import sys
from typing import Final, Literal

import msgspec

from jwtauth.observe import arrival
from jwtauth.observe.events import EVERYDAY, Event

LOGGER: Final = logging.getLogger("jwtauth")
_LONGEST: Final = 512


def configure(form: Literal["human", "json"]) -> None:
    """Write this process's log lines to standard error in the given form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Human("%(asctime)s %(levelname)s %(message)s"))
    for logger in (LOGGER, logging.getLogger("uvicorn")):
        logger.handlers[:] = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False


def write(event: Event) -> None:
    """The listener: one line per event, but for what happens all day long."""
    if event.name not in EVERYDAY and LOGGER.isEnabledFor(logging.INFO):
        LOGGER.info("%s", event.name, extra={"event": event})


class _Human(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event: Event | None = getattr(record, "event", None)
        line = super().format(record) + (f" trace_id={record.trace_id}" if hasattr(record, "trace_id") else "")
        if event is None:
            noted = arrival.current()
            return line if noted is None else f"{line} request_id={noted.request_id}"
        told = msgspec.to_builtins(event)
        return " ".join(
            [line, *(f"{name}={_flat(value)}" for name, value in told.items() if name not in ("name", "at"))]
        )


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event: Event | None = getattr(record, "event", None)
        members: dict[str, object] = {"level": record.levelname.lower(), "logged_at": record.created}
        if event is None:
            members["message"] = record.getMessage()
            noted = arrival.current()
            if noted is not None:
                members["request_id"] = noted.request_id
        else:
            members.update(msgspec.to_builtins(event))
        if hasattr(record, "trace_id"):  # which tracing adds
            members["trace_id"] = record.trace_id
        if record.exc_info:
            members["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(members).decode()


def _flat(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."

"""The log: every line says which request it belongs to, in whatever thread it was written; as text, or JSON by line."""

import json
import logging
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

LogFormat = Literal["text", "json"]
REQUEST: ContextVar[str] = ContextVar("REQUEST", default="-")
"""The id of the request that is worked for."""
_TEXT = "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"


def set_up(level: str, format: LogFormat, handlers: Sequence[logging.Handler]) -> None:
    """Everything that is logged goes to these handlers. level: "debug" to "critical"."""
    for handler in handlers:
        dress(handler, format)
    logging.basicConfig(level=level.upper(), handlers=list(handlers))
    if level != "debug":
        for chatty in ("uvicorn", "asyncio"):
            logging.getLogger(chatty).setLevel(logging.WARNING)  # uvicorn's greeting says less than ours
    logging.getLogger("uvicorn.error").addFilter(_not_on_purpose)


def dress(handler: logging.Handler, format: LogFormat) -> None:
    """Makes one handler write our lines."""
    handler.addFilter(_name_request)
    handler.setFormatter(_Lines() if format == "json" else logging.Formatter(_TEXT))


def _not_on_purpose(record: logging.LogRecord) -> bool:
    """A stream that breaks off ends without its last piece, and we have said why in a line of our own."""
    return not str(record.msg).startswith("ASGI callable returned without completing response")


def _name_request(record: logging.LogRecord) -> bool:
    record.request_id = REQUEST.get()
    return True


class _Lines(logging.Formatter):
    """A JSON object a line. What a call gives as `extra={"fields": {…}}` stands beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {
            "timestamp": when,
            "level": record.levelname.lower(),
            "logger": record.name,
            "request_id": REQUEST.get(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace").decode()


def printable(text: str) -> str:
    """What somebody sent, for one line of a log."""
    return "".join(c if c.isprintable() else "?" for c in text[:200])

"""Logging: lines for people on a terminal, JSON for machines; of calls with their ids, and no line without end."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import deque
from contextvars import ContextVar
from typing import Any, Literal, TextIO

__all__ = ["configure", "detail", "event", "in_call", "recent"]

_FIELDS = "fields"
_CALL: ContextVar[str] = ContextVar("call", default="")
MOST, WITHIN_S = 20, 60.0
"""Maximum lines of one kind within so many seconds; of the others only the number is logged."""
MAX_KINDS = 1000
KEPT = 500
"""Lines that can be looked at later."""
MAX_CHARACTERS = 2000
"""Maximum that is written and kept of a line's message, and of each of its fields."""
MAX_LINES = 60
"""Lines of a traceback that are written of its beginning and of its end."""
TROUBLE = frozenset({"error", "warning"})
"""Events of calls that are limited, for each call: clients cause as many as they like."""


def in_call(call_id: str) -> None:
    """Put this call's id into all lines that are logged from here on, and by the tasks that begin here."""
    _CALL.set(call_id)


class _OfCall(logging.Filter):
    """Adds the id of the call that a line is about, where the line does not have it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if call := _CALL.get():
            setattr(record, _FIELDS, {"call": call} | getattr(record, _FIELDS, {}))
        return True


class _NotTooMany(logging.Filter):
    """Leaves out lines of one kind that come too often, whoever causes them; how many is told with the next one."""

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[tuple[Any, ...], list[float]] = {}
        """Since when each kind is counted, the lines that were logged, and those that were not."""

    def filter(self, record: logging.LogRecord) -> bool:
        fields: dict[str, Any] = getattr(record, _FIELDS, {})
        if _FIELDS in record.__dict__ and record.name == "media_server.call":
            if record.msg not in TROUBLE:
                return True
            kind: tuple[Any, ...] = (record.msg, fields.get("call"))
        else:
            # the first line of a message, as asyncio's have objects' addresses in those that follow
            what = str(record.msg).partition("\n")[0][:80]
            raised = record.exc_info[0] if record.exc_info else None
            kind = (record.name, record.levelno, what, raised)
        now = time.monotonic()
        if kind not in self._kinds and len(self._kinds) >= MAX_KINDS:
            del self._kinds[next(iter(self._kinds))]
        count = self._kinds.setdefault(kind, [now, 0, 0])
        if now - count[0] > WITHIN_S:
            if count[2]:
                setattr(record, _FIELDS, fields | {"left_out": int(count[2])})
            count[:] = [now, 0, 0]
        if count[1] < MOST:
            count[1] += 1
            if count[1] == MOST:
                more = {"note": f"the last one of its kind for {WITHIN_S:g} seconds"}
                setattr(record, _FIELDS, getattr(record, _FIELDS, {}) | more)
            return True
        count[2] += 1
        return False


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cut(record.getMessage()),
        }
        line |= {k: _cut(v) if isinstance(v, str) else v for k, v in getattr(record, _FIELDS, {}).items()}
        if record.exc_info:
            line["exception"] = "\n".join(_shortened(self.formatException(record.exc_info)))
        return json.dumps(line, default=str)


class _Human(logging.Formatter):
    """What strangers have written is shown so that it cannot look like lines of the log, nor steer the terminal."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        record.message = _printable(_cut(record.getMessage()))
        record.asctime = self.formatTime(record, self.datefmt)
        fields: dict[str, Any] = getattr(record, _FIELDS, {})
        extra = " ".join(
            f"{k}={_cut(v)!r}" if isinstance(v, str) else f"{k}={_printable(_cut(str(v)))}" for k, v in fields.items()
        )
        line = self.formatMessage(record) + (f"  {extra}" if extra else "")
        if not record.exc_info:
            return line
        trace = _shortened(self.formatException(record.exc_info))
        return "\n".join([line, *(f"    {_printable(each)}" for each in trace)])


_kept: deque[dict[str, Any]] = deque(maxlen=KEPT)


class _Output(logging.StreamHandler[TextIO]):
    """Writes lines, and keeps the last ones for who looks at them later."""

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        line = {
            "at": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:MAX_CHARACTERS],
        }
        if fields := getattr(record, _FIELDS, {}):
            line["fields"] = {name: str(value)[:MAX_CHARACTERS] for name, value in fields.items()}
        if record.exc_info and record.exc_info[1]:
            line["exception"] = _raised(record.exc_info[1])[:MAX_CHARACTERS]
        _kept.append(line)


def recent() -> list[dict[str, Any]]:
    """The last lines that were logged, the oldest first; each with `at` in seconds since the epoch."""
    return list(_kept)


def _raised(failed: BaseException) -> str:
    """An exception's class and what it says; the text of a developer's own may be code that fails as well."""
    try:
        return f"{type(failed).__name__}: {failed}"
    except Exception:  # noqa: BLE001
        return type(failed).__name__


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}… ({len(text)} characters)"


def _shortened(trace: str) -> list[str]:
    """A traceback's lines, without its middle where it is endless; what was raised may hold what a client sent."""
    lines = [_cut(line) for line in trace.splitlines()]
    left_out = len(lines) - 2 * MAX_LINES
    return lines if left_out <= 0 else [*lines[:MAX_LINES], f"… {left_out} lines …", *lines[-MAX_LINES:]]


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def configure(form: Literal["auto", "human", "json"], level: str) -> None:
    """Log to stderr; `auto` is human on a terminal and JSON otherwise."""
    handler = _Output(sys.stderr)
    human = form == "human" or (form == "auto" and sys.stderr.isatty())
    handler.setFormatter(_Human() if human else _Json())
    handler.addFilter(_NotTooMany())
    handler.addFilter(_OfCall())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("aiohttp.access", "aioice", "aiortc", "alembic", "opentelemetry"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def event(logger: logging.Logger, message: str, /, **fields: Any) -> None:
    """One line with fields: appended as key=value for people, members of the object in JSON."""
    logger.info(message, extra={_FIELDS: fields})


def detail(logger: logging.Logger, message: str, /, **fields: Any) -> None:
    """A line as `event` writes it, which the log has at the level `debug` only."""
    logger.debug(message, extra={_FIELDS: fields})

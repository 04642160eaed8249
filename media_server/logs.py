"""Logging: lines for people on a terminal, JSON for machines."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, Literal

__all__ = ["configure", "event"]

_FIELDS = "fields"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, _FIELDS, {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _Human(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = getattr(record, _FIELDS, {})
        extra = " ".join(f"{k}={v!r}" if isinstance(v, str) else f"{k}={v}" for k, v in fields.items())
        return super().format(record) + (f"  {extra}" if extra else "")


def configure(form: Literal["auto", "human", "json"], level: str) -> None:
    """Log to stderr; `auto` is human on a terminal and JSON otherwise."""
    handler = logging.StreamHandler(sys.stderr)
    human = form == "human" or (form == "auto" and sys.stderr.isatty())
    handler.setFormatter(_Human() if human else _Json())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("aiohttp.access", "aioice", "aiortc", "alembic.runtime.plugins", "opentelemetry"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def event(logger: logging.Logger, message: str, /, **fields: Any) -> None:
    """One line with fields: appended as key=value for people, members of the object in JSON."""
    logger.info(message, extra={_FIELDS: fields})

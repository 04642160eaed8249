"""Times as others read them: RFC 3339, in UTC, to the millisecond."""

from __future__ import annotations

import datetime
import time

__all__ = ["now", "stamp"]


def stamp(seconds: float) -> str:
    """Format seconds since the epoch."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")


def now() -> str:
    return stamp(time.time())

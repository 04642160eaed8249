"""Time zones by their names."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo

__all__ = ["check_zone", "zone_of"]


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo | None:
    """The zone of this name, such as `Europe/Madrid`; None where there is none, for the server's own."""
    if not name or len(name) > 64:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, a path out of the data base, or a folder of it
        return None


def check_zone(name: str) -> str:
    """The name as it is.

    Raises:
        ValueError: there is no such zone.
    """
    if name and zone_of(name) is None:
        raise ValueError(f"there is no time zone {name!r}; zones are named as Europe/Madrid is")
    return name

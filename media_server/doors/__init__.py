"""The doors of this server: its own, one folder for each protocol, and those that installed packages bring."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from media_server.errors import ConfigurationError
from media_server.http.door import Door

__all__ = ["GROUP", "OWN", "load_doors"]

GROUP = "media_server.doors"
"""The entry points of packages that bring a door; each names a `Door`."""
OWN = (
    "flow",
    "livekit",
    "nextevi",
    "pinecall",
    "wespoke",
)
"""The folders beside this module."""


def load_doors() -> list[Door]:
    """Import every door.

    Raises:
        ConfigurationError: an installed package's door cannot be imported, is no `Door`, or has the name of another.
    """
    own = [EntryPoint(name, f"{__name__}.{name}:DOOR", GROUP) for name in OWN]
    doors: dict[str, Door] = {}
    for point in [*own, *entry_points(group=GROUP)]:
        try:
            door = point.load()
        except Exception as failed:  # another package's code, whatever it does
            raise ConfigurationError(f"The door {point.name!r} ({point.value}) cannot be loaded: {failed}") from failed
        if not isinstance(door, Door):
            raise ConfigurationError(f"The door {point.name!r} ({point.value}) is not a media_server Door.")
        if door.name in doors:
            raise ConfigurationError(f"Two doors are called {door.name!r}; uninstall the package that brings one.")
        doors[door.name] = door
    return list(doors.values())

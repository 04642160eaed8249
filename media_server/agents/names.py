"""Names of agents, and what other products call them."""

from __future__ import annotations

import re

__all__ = ["agent_name"]

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def agent_name(given: str) -> str:
    """The name of the agent that a program calls so: as it is where it can be one, else as a slug."""
    if NAME.fullmatch(given):
        return given
    words = re.sub(r"[^a-z0-9-]", "", re.sub(r"[_\s]+", "-", given.strip().lower()))
    return re.sub(r"-+", "-", words).strip("-")

"""Puts the documents' site into the wheel, where `make docs` has built it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DocumentsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling calls `initialize` before it builds."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if (Path(self.root) / "site" / "index.html").is_file():
            build_data["force_include"]["site"] = "media_server/_site"

"""What is said where something would have to be fetched and nothing may be."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from media_server.packs.transfer import DownloadError

__all__ = ["OfflineError"]

SHOWN = 3


class OfflineError(DownloadError):
    """Something is missing, and fetching it is forbidden; the message names the files and where they belong."""

    def __init__(self, name: str, models_dir: Path, paths: Iterable[str], reason: str = "") -> None:
        folder = models_dir.resolve() / name
        missing = [path for path in paths if not (folder / path).is_file()] or ["pack.toml"]
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        shown = ", ".join(str(folder / path) for path in missing[:SHOWN])
        super().__init__(
            f"Nothing may be fetched (offline). Missing: {shown}{more}. {reason and reason + ' '}Carry the pack in: "
            f"`media-server models bundle create {name}` on a machine with a network, `media-server models bundle "
            f"install {name}.tar.zst` on this one. --no-offline allows fetching."
        )
        self.code = "offline"

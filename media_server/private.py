"""Files and folders that nobody but their owner may read: they hold what callers said."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["private_file", "private_folder"]


def private_folder(folder: Path) -> None:
    """Make a folder for its owner alone. One that is there stays as it is: its operator may have shared it.

    Raises:
        OSError: it cannot be made.
    """
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)


def private_file(file: Path) -> None:
    """Have a file be there, for its owner alone from its first moment on; one that others may read is closed to them.

    What cannot be done is left for the one who opens it to find out.
    """
    with contextlib.suppress(OSError):
        try:
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            # not opened: to close a database's file takes away the locks that this process has on it
            mode = file.stat().st_mode & 0o777
            if mode & 0o077:
                file.chmod(mode & 0o700)

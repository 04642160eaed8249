"""Starts the installer: as `install.py` beside an unpacked bundle, or as the program that a bundle itself is."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("install: Python 3.11 or newer is needed; start this with python3.11, python3.12 …")

from pathlib import Path

from installer.commands import main  # type: ignore[import-not-found]

main(Path(__file__).resolve().parent)

"""Published programs of hosted products. Their texts are not part of this project: they are read from a folder, and
without it the tests that need them are skipped, and say so.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

__all__ = ["between", "text"]

WHERE = "MEDIA_SERVER_TESTS_PROGRAMS"
BESIDE = sorted(Path(__file__).parents[2].glob("*/seeds"))
"""Where the texts are looked for else: in a folder of this name beside the repository."""


def text(number: str) -> str:
    """A page's text, by its number."""
    folders = [Path(os.environ[WHERE])] if WHERE in os.environ else BESIDE
    found = next((file for folder in folders for file in folder.glob(f"{number}_*.txt")), None)
    if found is None:
        pytest.skip(f"the texts are not here: {WHERE} names their folder")
    return found.read_text()


def between(page: str, first: str, last: str) -> str:
    """A program of a page, from its first line to its last one, both by regular expressions."""
    found = re.search(rf"^{first}.*?^{last}$", page, re.MULTILINE | re.DOTALL)
    assert found, f"there is no program from {first} to {last}"
    return found[0] + "\n"

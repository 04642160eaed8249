"""What is released says one version everywhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

from media_server import __version__


def test_the_browsers_package_has_the_servers_version() -> None:
    assert json.loads(Path("static/package.json").read_text())["version"] == __version__


def test_the_changelog_tells_of_this_version() -> None:
    released = re.findall(r"^## \[([\d.]+)\] - \d{4}-\d\d-\d\d$", Path("CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == __version__

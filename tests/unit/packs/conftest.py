from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.packs.boxes import create


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create(tmp_path_factory.mktemp("box") / "box.tar")

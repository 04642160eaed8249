"""The index of a folder: what is found, and that it follows the files."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_server.knowledge.index import Index

HANDBOOK = """
# Opening hours
We are open from nine in the morning until five in the evening, on Saturdays until noon.

# Parking
There are forty spaces behind the house. They cost two euros an hour.

# Returns
Whoever does not like a thing brings it back within thirty days and gets the money.
"""


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "handbook.md").write_text(HANDBOOK)
    (folder / "more").mkdir()
    (folder / "more" / "cafe.txt").write_text("The café serves soup, coffee and cake.")
    (folder / "logo.png").write_bytes(b"\x89PNG")
    (folder / ".hidden.md").write_text("parking secrets")
    async with Index.open(folder, tmp_path / "index" / "x.sqlite") as index:
        yield index


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("Where can I park my car?", "Parking"),
        ("how much is parking", "Parking"),
        ("when do you open on saturday", "Opening hours"),
        ("can i return a thing that i do not like", "Returns"),
        ("do you have any cafe or so", ""),
    ],
)
async def test_questions_find_their_passage(index: Index, question: str, found: str) -> None:
    await index.refresh()
    assert (await index.search(question, 3))[0].title == found


@pytest.mark.parametrize("question", ["", "hello how are you", "thank you", "giraffes", '" OR "', "title: *", "-- ;"])
async def test_what_asks_for_nothing_finds_nothing(index: Index, question: str) -> None:
    await index.refresh()
    assert await index.search(question, 3) == []


async def test_only_changed_files_are_read(index: Index) -> None:
    first = await index.refresh()
    assert (first.files, first.changed, first.problems) == (2, 2, [])
    assert (await index.refresh()).changed == 0
    cafe = index.folder / "more" / "cafe.txt"
    cafe.write_text("The café is closed.")
    os.utime(cafe, ns=(1, 1))
    assert (await index.refresh()).changed == 1
    assert [f.text for f in await index.search("cafe", 3)] == ["The café is closed."]
    cafe.unlink()
    assert (await index.refresh()).changed == 1
    assert await index.search("cafe", 3) == []


async def test_a_broken_file_costs_no_other(index: Index) -> None:
    (index.folder / "broken.pdf").write_bytes(b"hello")
    done = await index.refresh()
    assert len(done.problems) == 1
    assert "broken.pdf: it is no PDF" in done.problems[0]
    assert await index.search("parking", 3)
    assert (await index.refresh()).changed == 0, "it is not read again until it changes"


async def test_an_index_is_found_again(index: Index, tmp_path: Path) -> None:
    await index.refresh()
    async with Index.open(index.folder, tmp_path / "index" / "x.sqlite") as again:
        assert (await again.refresh()).changed == 0
        assert await again.search("parking", 3)

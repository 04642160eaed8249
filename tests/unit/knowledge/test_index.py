"""The index of a folder: what is found, and that it follows the files."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from media_server.errors import RequestFailed
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


class ByLetters:
    """Finds alike what has letters in common: `soups` and `soup`, `parking-garage` and `park`."""

    related_at = 0.6

    def __init__(self, name: str = "letters") -> None:
        self.name = name
        self.works = True
        self.asked: list[int] = []

    async def embed(self, texts: Sequence[str], *, query: bool) -> npt.NDArray[np.float32]:
        if not self.works:
            raise RequestFailed("down", "It is down.")
        self.asked.append(len(texts))
        made = np.zeros((len(texts), 26), np.float32)
        for row, text in zip(made, texts, strict=True):
            for letter in text.lower():
                if "a" <= letter <= "z":
                    row[ord(letter) - 97] += 1
        lengths: npt.NDArray[np.float32] = np.linalg.norm(made, axis=1, keepdims=True)
        return made / lengths


async def test_vectors_find_what_words_do_not(index: Index, tmp_path: Path) -> None:
    await index.refresh()
    question = "soupscoffeecake"  # as somebody might spell it
    assert await index.search(question, 3) == []
    embedder = ByLetters()
    file = tmp_path / "index" / "vectors.sqlite"
    async with Index.open(index.folder, file, embedder) as other:
        assert (await other.refresh()).changed == 2
        assert (await other.search(question, 3))[0].file == "more/cafe.txt"
        assert (await other.search("soup and coffee", 3))[0].score == 1
        assert (await other.search("parking", 3))[0].title == "Parking", "what both find comes first"
        assert await other.search("thank you", 3) == []
        embedder.works = False
        assert (await other.search("parking", 3))[0].title == "Parking", "words still find it"
        assert await other.search(question, 3) == []
    embedder.works = True
    embedder.asked.clear()
    async with Index.open(index.folder, file, embedder) as again:
        assert (await again.refresh()).changed == 0
        assert embedder.asked == []
    async with Index.open(index.folder, file, ByLetters("other")) as again:
        assert (await again.refresh()).changed == 2, "vectors of another model are of no use"


async def test_vectors_are_made_up_for_later(index: Index, tmp_path: Path) -> None:
    embedder = ByLetters()
    embedder.works = False
    async with Index.open(index.folder, tmp_path / "index" / "late.sqlite", embedder) as late:
        assert (await late.refresh()).changed == 2
        assert await late.search("parking", 3)
        assert (await late.refresh()).changed == 0
        embedder.works = True
        await late.refresh()
        assert (await late.search("soupscoffeecake", 3))[0].file == "more/cafe.txt"
        embedder.asked.clear()
        await late.refresh()
        assert embedder.asked == []


async def test_an_index_is_found_again(index: Index, tmp_path: Path) -> None:
    await index.refresh()
    async with Index.open(index.folder, tmp_path / "index" / "x.sqlite") as again:
        assert (await again.refresh()).changed == 0
        assert await again.search("parking", 3)

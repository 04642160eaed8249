"""Several folders at once: what fits best of all of them, what is new, and what is gone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from media_server.knowledge import Library


@contextlib.asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Library]:
    library = Library(directory)
    task = asyncio.create_task(library.run())
    try:
        yield library
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_passages_of_several_folders_come_in_one_order(tmp_path: Path) -> None:
    products, billing = tmp_path / "products", tmp_path / "billing"
    for folder in (products, billing):
        folder.mkdir()
    (products / "lamp.md").write_text("# Lamp\n\nThe lamp has a warranty of two years.\n\n# Chair\n\nIt is red.")
    (billing / "refunds.md").write_text("# Refunds\n\nA refund of the lamp takes ten days on the invoice.")
    async with running(tmp_path / "index") as library:
        for folder in (products, billing):
            await library.refresh(folder)
        both = (products, billing)
        found = await library.search(both, "how long does a refund on the invoice take for the lamp", 3)
        assert [f.file for f in found] == ["refunds.md", "lamp.md"]
        assert found[0].score == 1 > found[1].score
        assert [f.file for f in await library.search(both, "warranty of the lamp", 1)] == ["lamp.md"]
        assert [f.file for f in await library.search((billing,), "warranty of the lamp", 1)] == ["refunds.md"]
        assert await library.search((), "lamp", 3) == []
        assert await library.search((tmp_path / "nowhere", products), "chair", 3)


async def test_what_was_just_written_is_found_after_a_refresh_and_nothing_of_what_is_gone(tmp_path: Path) -> None:
    folder, index = tmp_path / "base", tmp_path / "index"
    folder.mkdir()
    async with running(index) as library:
        await library.refresh(folder)
        (folder / "a.txt").write_text("The zoo opens at nine.")
        await library.refresh(folder)
        assert [f.file for f in await library.search((folder,), "zoo", 3)] == ["a.txt"]
        await library.forget(folder)
        assert not list(index.iterdir())
        await library.refresh(folder)
        assert await library.search((folder,), "zoo", 3), "it was indexed anew"
        await library.forget(folder)
        (folder / "a.txt").unlink()
        folder.rmdir()
        assert await library.search((folder,), "zoo", 3) == []
        assert not list(index.iterdir()), "nobody looks for it any more"

"""Keys are changed by several at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from media_server.store import Database, Keys


async def test_credit_that_is_added_at_once_is_all_there(tmp_path: Path) -> None:
    async with Database.open(f"sqlite:///{tmp_path}/x.sqlite") as database:
        keys = Keys(database)
        _, key = await keys.create("a", credit=1.0)
        await asyncio.gather(*(keys.add_credit(key.id, 1.0) for _ in range(30)))
        assert await keys.add_credit(key.id, 0.5) == 31.5
        assert await keys.add_credit("nobody", 1.0) is None
        _, free = await keys.create("b")
        assert await keys.add_credit(free.id, 2.0) == 2.0

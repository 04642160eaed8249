"""An application that is served while a block runs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

__all__ = ["served"]


@contextlib.asynccontextmanager
async def served(app: web.Application, host: str = "localhost") -> AsyncIterator[str]:
    """Its address, without a slash at the end."""
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, 0).start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()

"""Delivering the outbox: signed (Standard Webhooks 1.0), at least once, in order for each call, again when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import time
from collections.abc import Mapping

import aiohttp
from sqlalchemy.exc import SQLAlchemyError
from standardwebhooks.webhooks import Webhook as Signer

from media_server.store import Delivery, Outbox

__all__ = ["Deliverer"]

log = logging.getLogger(__name__)

AT_ONCE = 8
TIMEOUT_S = 15.0
LONGEST_SLEEP_S = 60.0
"""Between two looks; others may have put something into the outbox."""
CLEAN_S = 3600.0
AFTER_TROUBLE_S = 5.0
GONE = 410


class Deliverer:
    """`run` owns the delivering; `wake` it when there is something new.

    Args:
        secrets: of the webhooks, by URL.
    """

    def __init__(self, outbox: Outbox, secrets: Mapping[str, str]) -> None:
        self._outbox = outbox
        self._signers = {url: Signer(secret) for url, secret in secrets.items()}
        self._news = asyncio.Event()
        self._cleaned = -CLEAN_S

    def wake(self) -> None:
        self._news.set()

    async def run(self) -> None:
        """Deliver what is due, for ever."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            while True:
                try:
                    await self._once(http)
                except SQLAlchemyError:
                    # a database that cannot be written ends neither calls nor webhooks
                    log.exception("webhooks wait for the database")
                    await asyncio.sleep(AFTER_TROUBLE_S)

    async def _once(self, http: aiohttp.ClientSession) -> None:
        self._news.clear()
        if time.monotonic() - self._cleaned > CLEAN_S:
            self._cleaned = time.monotonic()
            await self._outbox.forget_old()
        if due := await self._outbox.due(AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for delivery in due:
                    group.create_task(self._deliver(http, delivery))
            return
        at = await self._outbox.next_at()
        wait_s = LONGEST_SLEEP_S if at is None else min(LONGEST_SLEEP_S, max(0.05, at - time.time()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._news.wait()

    async def _deliver(self, http: aiohttp.ClientSession, delivery: Delivery) -> None:
        signer = self._signers.get(delivery.url)
        if signer is None:
            await self._outbox.failed(delivery, "This webhook is not configured any more.", final=True)
            return
        now = datetime.datetime.now(datetime.UTC)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": delivery.message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signer.sign(delivery.message_id, now, delivery.body),
        }
        try:
            # a redirect would carry a call's words to an address that nobody configured
            request = http.post(delivery.url, data=delivery.body.encode(), headers=headers, allow_redirects=False)
            async with request as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as e:
            await self._outbox.failed(delivery, f"{type(e).__name__}: {e}", final=False)
            return
        if 200 <= status < 300:
            await self._outbox.arrived(delivery)
        else:
            await self._outbox.failed(delivery, f"HTTP status {status}", final=status == GONE)

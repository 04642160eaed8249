"""Delivering the outbox: signed (Standard Webhooks 1.0), at least once, in order for each call, again when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import aiohttp
from sqlalchemy.exc import SQLAlchemyError
from standardwebhooks.webhooks import Webhook as Signer

from media_server.store import Delivery, Outbox, reason_of

__all__ = ["Deliverer", "why_not_sent"]

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Messages that are sent to one address at once."""
TIMEOUT_S = 15.0
MAX_SLEEP_S = 20.0
"""Seconds between two looks; others may have put something into the outbox."""
CLEAN_S = 60.0
AFTER_TROUBLE_S = 5.0
JUMP_S = 2.0
"""Step of the wall clock that is made up for."""
GONE = 410


class Deliverer:
    """`run` owns the delivering; `wake` it when there is something new.

    Each address has a turn of its own: one that does not answer holds up no other's messages.

    Args:
        secrets: of the webhooks, by URL.
    """

    def __init__(self, outbox: Outbox, secrets: Mapping[str, str]) -> None:
        self._outbox = outbox
        self._signers = {url: Signer(secret) for url, secret in secrets.items()}
        self._news = {url: asyncio.Event() for url in secrets}
        self._offset_s = time.time() - time.monotonic()
        """The wall clock's offset when it was last looked at."""
        self._arrived: dict[int, Delivery] = {}
        """Delivered, and not yet written down as such: they must not be sent again."""
        self._in_trouble = False
        """The database could not be written at the last try."""

    def wake(self) -> None:
        for news in self._news.values():
            news.set()

    async def run(self) -> None:
        """Deliver what is due, for ever."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        # what receivers answer is not read: neither their cookies nor what they have compressed
        kept: dict[str, Any] = {"cookie_jar": aiohttp.DummyCookieJar(), "auto_decompress": False}
        async with aiohttp.ClientSession(timeout=timeout, **kept) as http, asyncio.TaskGroup() as group:
            group.create_task(self._again_and_again(self._keep_house))
            for url in self._signers:
                group.create_task(self._again_and_again(partial(self._deliver_to, url, http)))

    async def _again_and_again(self, once: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await once()
            except SQLAlchemyError as failed:
                # a database that cannot be written ends neither calls nor webhooks
                if not self._in_trouble:
                    log.error("webhook delivery paused, the database is unavailable: %s", reason_of(failed))
                self._in_trouble = True
                await asyncio.sleep(AFTER_TROUBLE_S)
            else:
                self._in_trouble = False

    async def _keep_house(self) -> None:
        """Forget what is old, and what is for addresses that are not configured any more."""
        await self._outbox.forget_old()
        for delivery in await self._outbox.due_elsewhere(list(self._signers)):
            await self._outbox.failed(delivery, "This webhook is not configured any more.", final=True)
        await asyncio.sleep(CLEAN_S)

    async def _deliver_to(self, url: str, http: aiohttp.ClientSession) -> None:
        news = self._news[url]
        news.clear()
        await self._follow_clock()
        for delivery in [each for each in self._arrived.values() if each.url == url]:
            await self._note_arrived(delivery)
        if due := await self._outbox.due(AT_ONCE, url):
            results = await asyncio.gather(*(self._deliver(http, each) for each in due), return_exceptions=True)
            for failed in results:
                if isinstance(failed, BaseException):
                    raise failed
            return
        at = await self._outbox.next_at(url)
        wait_s = MAX_SLEEP_S if at is None else min(MAX_SLEEP_S, max(0.05, at - time.time()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await news.wait()

    async def _deliver(self, http: aiohttp.ClientSession, delivery: Delivery) -> None:
        now = datetime.datetime.now(datetime.UTC)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": delivery.message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signers[delivery.url].sign(delivery.message_id, now, delivery.body),
        }
        try:
            # a redirect would carry a call's words to an address that nobody configured
            request = http.post(delivery.url, data=delivery.body.encode(), headers=headers, allow_redirects=False)
            async with request as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as e:
            await self._outbox.failed(delivery, why_not_sent(e), final=False)
            return
        if 200 <= status < 300:
            self._arrived[delivery.id] = delivery
            await self._note_arrived(delivery)
        else:
            await self._outbox.failed(delivery, f"HTTP status {status}", final=status == GONE)

    async def _note_arrived(self, delivery: Delivery) -> None:
        await self._outbox.arrived(delivery)
        self._arrived.pop(delivery.id, None)

    async def _follow_clock(self) -> None:
        """Waits are kept as wall clock times: a step of that clock must not make them longer or shorter."""
        offset_s, before_s = time.time() - time.monotonic(), self._offset_s
        self._offset_s = offset_s  # at once: others look as well
        if abs(offset_s - before_s) <= JUMP_S:
            return
        try:
            await self._outbox.shift(offset_s - before_s)
        except SQLAlchemyError:
            self._offset_s = before_s
            raise


def why_not_sent(failed: Exception) -> str:
    """Why a message did not reach its receiver, for what aiohttp raised; people read it in the list of deliveries."""
    match failed:
        case TimeoutError():
            return f"no answer within {TIMEOUT_S:g} seconds"
        case aiohttp.ClientConnectorDNSError():
            return f"there is no host called {failed.host}"
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not trusted"
        case aiohttp.ClientConnectorSSLError():
            return "it does not speak HTTPS"
        case aiohttp.ClientConnectorError():
            reason = os.strerror(failed.os_error.errno) if failed.os_error.errno else str(failed.os_error)
            return f"{failed.host}:{failed.port} cannot be reached: {reason}"
        case aiohttp.ServerDisconnectedError() | ConnectionError():
            return "it closed the connection without an answer"
        case _:
            return f"the message could not be sent: {failed}"

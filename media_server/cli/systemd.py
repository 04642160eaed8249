"""What systemd is told of a service: that it is ready, stopping, and still alive (sd_notify(3))."""

from __future__ import annotations

import asyncio
import os
import socket

from media_server.errors import ConfigurationError

__all__ = ["Notifier"]


class Notifier:
    """Sends datagrams to the socket that systemd names; without an address it does nothing.

    Args:
        address: a path, or an abstract name that begins with `@`.
        watchdog_s: how long systemd waits for a sign of life before it restarts the service; 0 for ever.
    """

    def __init__(self, address: str, watchdog_s: float = 0.0) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watchdog_s = watchdog_s

    @classmethod
    def of_systemd(cls) -> Notifier:
        """The one that the environment describes.

        Raises:
            ConfigurationError: systemd has not started this process as a service of the type `notify`.
        """
        address = os.environ.get("NOTIFY_SOCKET", "")
        if not address:
            raise ConfigurationError("--systemd is for a service of systemd with Type=notify; leave it out elsewhere.")
        meant_for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog_us = int(os.environ.get("WATCHDOG_USEC", "0")) if meant_for_us else 0
        # the engines' processes are not the service
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
            os.environ.pop(name, None)
        return cls(address, watchdog_us / 1e6)

    def tell(self, *assignments: str) -> None:
        """Send assignments like `READY=1`."""
        if self._address:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.sendto("\n".join(assignments).encode(), self._address)

    async def stay_alive(self) -> None:
        """Give signs of life from the event loop until cancelled, where systemd waits for them."""
        while self._watchdog_s:
            self.tell("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_s / 3)

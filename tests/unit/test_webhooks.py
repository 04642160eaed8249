"""Why a message did not reach its receiver, in words for people."""

from __future__ import annotations

import errno
import ssl
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from media_server.webhooks import why_not_sent

KEY: Any = ConnectionKey("hooks.example", 443, True, True, None, None, None)


@pytest.mark.parametrize(
    ("failed", "said"),
    [
        (TimeoutError(), "no answer within 15 seconds"),
        (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "Name not known")), "there is no host called hooks.example"),
        (
            aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed")),
            "hooks.example:443 cannot be reached: Connection refused",
        ),
        (
            aiohttp.ClientConnectorError(KEY, OSError("No route")),
            "hooks.example:443 cannot be reached: No route",
        ),
        (aiohttp.ClientConnectorCertificateError(KEY, ssl.CertificateError()), "its certificate is not trusted"),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "wrong version")), "it does not speak HTTPS"),
        (aiohttp.ServerDisconnectedError(), "it closed the connection without an answer"),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, Exception) else None,
)
def test_why_a_message_was_not_delivered_is_said_in_words(failed: Exception, said: str) -> None:
    assert why_not_sent(failed) == said

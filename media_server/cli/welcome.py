"""What `serve` prints when it is ready: addresses, a code for phones, and what is wrong with agents."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from media_server.addresses import own_addresses
from media_server.config import Settings, is_loopback
from media_server.counted import counted

if TYPE_CHECKING:
    from media_server.server import Server

__all__ = ["addresses", "qr_code", "welcome"]

ANY = ("0.0.0.0", "::")


def welcome(server: Server, settings: Settings, took_s: float, terminal: bool) -> str:
    """Lines for people; on a terminal with a QR code where other machines can call."""
    here, elsewhere = addresses(server.url, settings.host, own_addresses())
    lines = [f"Ready after {took_s:.1f} s: open {here or elsewhere[0]} and speak. Ctrl-C stops."]
    if elsewhere:
        lines.append(f"From other machines: {'  '.join(elsewhere)}")
        if not settings.tls:
            lines.append("Their browsers give pages the microphone over HTTPS only: --tls auto, or a proxy with HTTPS.")
        elif terminal:
            lines += ["", qr_code(elsewhere[0])]
    if server.notice:
        lines.append(server.notice)
    if server.problems:
        count = len({problem.file for problem in server.problems})
        lines.append(f"But {counted(count, 'agent file is', 'agent files are')} not in use as written:")
        lines += [f"  {problem}" for problem in server.problems]
    return "\n".join(lines)


def addresses(url: str, host: str, own: Sequence[str]) -> tuple[str, list[str]]:
    """The URL for this machine, empty where it has none of its own, and those for others.

    Args:
        url: what the server listens on.
        own: this machine's addresses in its networks.
    """
    scheme, _, rest = url.partition("://")
    port = rest.rpartition(":")[2]
    if host in ANY:
        return f"{scheme}://localhost:{port}", [f"{scheme}://{address}:{port}" for address in own]
    return (url, []) if is_loopback(host) else ("", [url])


def qr_code(text: str) -> str:
    """A QR code of half blocks, as terminals show it."""
    import segno

    out = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(out, compact=True, border=2)
    return out.getvalue().rstrip("\n")

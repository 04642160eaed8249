"""The audio that an offer and its answer agreed on: codecs and streams, in the words of RTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["AgreedAudio", "Codec"]


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type, as `a=rtpmap` and `a=fmtp` describe it (RFC 8866 sections 6.6 and 6.15)."""

    payload_type: int
    name: str
    """The encoding name in lower case: `opus`, `pcmu`, `pcma`, `g722`, `red` or `telephone-event`."""
    clock_hz: int
    """The clock of RTP timestamps; 8000 for G.722, although its samples are at 16 kHz (RFC 3551 section 4.5.2)."""
    channels: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The format parameters by their lower-case names; one without `=` stands under the empty name."""


@dataclass(frozen=True, slots=True)
class AgreedAudio:
    """What the caller may send to the server, and what the server sends to the caller."""

    receive: tuple[Codec, ...]
    """Codecs that the caller may send in, the preferred first; empty where the caller sends no audio."""
    send: Codec | None
    """The codec of the agent's voice; `None` where the caller receives no audio."""
    send_red: Codec | None = None
    """Redundant audio (RFC 2198) around `send`, where the caller takes it."""
    local_ssrc: int = 0
    """The SSRC of everything the server sends, reports included; the answer announces it."""
    ssrcs: tuple[int, ...] = ()
    """The caller's SSRCs, as far as the offer names them."""

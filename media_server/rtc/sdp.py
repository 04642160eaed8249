"""Session descriptions and trickle ICE fragments: checked before they get near a peer connection."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from dataclasses import dataclass

from aiortc import RTCIceCandidate
from aiortc.sdp import MediaDescription, SessionDescription, candidate_from_sdp

from media_server.errors import ClientError

__all__ = ["MOST_CANDIDATES", "PARSE_ERRORS", "Fragment", "Reach", "checked_offer", "parse_fragment"]

END = "a=end-of-candidates"
MOST_CANDIDATES = 100
"""Maximum candidates of a caller. To each the server sends checks; RFC 8445 section 6.1.2.5 has no more pairs tried."""
MOST_PORTS = 16
"""Maximum candidates with the same address."""
MOST_LINES = 1500
MOST_MEDIA = 8
"""Maximum media sections: each that is not bundled has sockets of its own."""
MOST_PAYLOADS = 128
"""Maximum payload types of a section; RTP has no more."""
UFRAG = re.compile(r"[A-Za-z0-9+/=_-]{1,256}")
PWD = re.compile(r"[A-Za-z0-9+/=_-]{1,256}")
"""RFC 8839 section 5.4, but for the lengths: some clients have shorter ones, and `=`, `_` or `-`."""
FINGERPRINT = re.compile(r"([0-9A-Fa-f]{2}:){15,63}[0-9A-Fa-f]{2}")
HASHES = {"sha-256", "sha-384", "sha-512"}
THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
CODECS = {"opus", "pcmu", "pcma", "g722"}
# what the parser of aiortc throws at lines it does not expect
PARSE_ERRORS = (ValueError, AssertionError, IndexError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class Reach:
    """Which addresses of this machine's own may be sent to: those that it listens on itself.

    Without these a stranger could have the server send packets to services of this machine and of its link.
    """

    loopback: bool = False
    link_local: bool = False


@dataclass(frozen=True, slots=True)
class Fragment:
    """A trickle ICE fragment (RFC 8840 section 9)."""

    username: str
    password: str
    candidates: tuple[RTCIceCandidate, ...]


def checked_offer(sdp: str, reach: Reach = Reach()) -> str:
    """The offer, without the candidates that aiortc would wait for in vain.

    Browsers hide their addresses behind `.local` names; aioice resolves each by multicast, up to a second. They are
    dropped: the browser's own checks arrive all the same and its address is learnt from them (peer-reflexive
    candidates, RFC 8445 section 7.3.1.3). For their sake the end of candidates is not passed on either: aioice would
    give up at once where no candidate is left.

    Raises:
        ClientError: `bad_sdp`, `no_audio` or `no_common_codec`.
    """
    given = sdp.splitlines()
    if len(given) > MOST_LINES:
        raise ClientError("bad_sdp", f"The offer has more than {MOST_LINES} lines.")
    lines, kept = list[str](), Counter[str]()
    for line in given:
        if line.startswith("a=candidate:"):
            address = _address(line, reach)
            if address is None or kept.total() >= MOST_CANDIDATES or kept[address] >= MOST_PORTS:
                continue
            kept[address] += 1
        if line.startswith("m=") and len(line.split()) > MOST_PAYLOADS + 3:
            raise ClientError("bad_sdp", f"A section of the offer has more than {MOST_PAYLOADS} payload types.")
        if line != END:
            lines.append(line)
    text = "\r\n".join(lines) + "\r\n"
    if sum(line.startswith("m=") for line in lines) > MOST_MEDIA:
        raise ClientError("bad_sdp", f"The offer has more than {MOST_MEDIA} media sections.")
    try:
        description = SessionDescription.parse(text)
        audio = [x for x in description.media if x.kind == "audio" and x.port]
        secured = all(_is_secured(x) for x in audio)
        mids = [x.rtp.muxId for x in description.media]
        bundled = [str(item) for group in description.group if group.semantic == "BUNDLE" for item in group.items]
    except PARSE_ERRORS as e:
        raise ClientError("bad_sdp", "The offer is not a valid session description (SDP).") from e
    if not text.startswith("v=0") or not description.origin:
        raise ClientError("bad_sdp", "The offer is not a valid session description (SDP).")
    if not audio:
        raise ClientError("no_audio", "The offer has no audio section; a call needs one.")
    if not any(c.mimeType.split("/")[1].lower() in CODECS for c in audio[0].rtp.codecs):
        raise ClientError("no_common_codec", "None of the offered audio codecs is supported; offer Opus.")
    if not secured:
        raise ClientError("bad_sdp", "The offer lacks ICE credentials or a DTLS fingerprint.")
    if len(set(mids)) != len(mids) or not set(bundled) <= set(mids) or len(set(bundled)) != len(bundled):
        raise ClientError("bad_sdp", "The offer's BUNDLE group names sections (a=mid) that it does not have, or twice.")
    return text


def _is_secured(media: MediaDescription) -> bool:
    """Whether it has what ICE and DTLS need, in a form that can be right."""
    if not media.dtls or not media.ice:
        return False
    known = [f for f in media.dtls.fingerprints if f.algorithm.lower() in HASHES and FINGERPRINT.fullmatch(f.value)]
    return bool(known and UFRAG.fullmatch(media.ice.usernameFragment or "") and PWD.fullmatch(media.ice.password or ""))


def _address(line: str, reach: Reach) -> str | None:
    """Where checks of this candidate would go; None where none may go, empty for what the parser is to refuse."""
    parts = line.split()
    if len(parts) < 8:
        return ""
    if parts[2].lower() != "udp":
        return None  # aioice speaks no TCP with peers
    try:
        address = ipaddress.ip_address(parts[4])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    if parts[5].isascii() and parts[5].isdecimal() and not 1 <= int(parts[5]) <= 65535:
        return None
    if address.is_loopback:
        return str(address) if reach.loopback else None
    if address.is_link_local:
        return str(address) if reach.link_local else None
    # reserved: 240/4 with the broadcast address, and all IPv6 that stands for other addresses
    if address.is_multicast or address.is_unspecified or address.is_reserved or address in THIS_NETWORK:
        return None
    return str(address)


def parse_fragment(text: str, reach: Reach = Reach()) -> Fragment:
    """A body of type `application/trickle-ice-sdpfrag`.

    Raises:
        ClientError: `bad_sdp_fragment`.
    """
    username = password = ""
    says_something = False
    candidates = []
    try:
        for line in text.splitlines():
            name, _, value = line.strip().partition(":")
            match name:
                case "a=ice-ufrag":
                    username = value
                case "a=ice-pwd":
                    password = value
                case _ if name == END:
                    says_something = True
                case "a=candidate":
                    says_something = True
                    if _address(line.strip(), reach) is not None:
                        candidates.append(candidate_from_sdp(value))
                case _:
                    pass
    except PARSE_ERRORS as e:
        raise ClientError("bad_sdp_fragment", "The body is not a trickle ICE fragment (RFC 8840).") from e
    if not username and not says_something:
        raise ClientError("bad_sdp_fragment", "The fragment has neither candidates nor credentials in it.")
    if bool(username) != bool(password):
        raise ClientError("bad_sdp_fragment", "The fragment has a=ice-ufrag or a=ice-pwd without the other.")
    if username and not (UFRAG.fullmatch(username) and PWD.fullmatch(password)):
        raise ClientError("bad_sdp_fragment", "The fragment's a=ice-ufrag or a=ice-pwd has characters that cannot be.")
    return Fragment(username, password, tuple(candidates))

"""Session descriptions and trickle ICE fragments: checked before they get near a peer connection."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from aiortc import RTCIceCandidate
from aiortc.sdp import SessionDescription, candidate_from_sdp

from media_server.errors import ClientError

__all__ = ["MOST_CANDIDATES", "PARSE_ERRORS", "Fragment", "checked_offer", "parse_fragment"]

END = "a=end-of-candidates"
MOST_CANDIDATES = 100
"""Of a caller. To each the server sends checks; RFC 8445 section 6.1.2.5 has no more pairs tried."""
CODECS = {"opus", "pcmu", "pcma", "g722"}
# what the parser of aiortc throws at lines it does not expect
PARSE_ERRORS = (ValueError, AssertionError, IndexError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class Fragment:
    """A trickle ICE fragment (RFC 8840 section 9)."""

    username: str
    password: str
    candidates: tuple[RTCIceCandidate, ...]


def checked_offer(sdp: str) -> str:
    """The offer, without the candidates that aiortc would wait for in vain.

    Browsers hide their addresses behind `.local` names; aioice resolves each by multicast, up to a second. They are
    dropped: the browser's own checks arrive all the same and its address is learnt from them (peer-reflexive
    candidates, RFC 8445 section 7.3.1.3). For their sake the end of candidates is not passed on either: aioice would
    give up at once where no candidate is left.

    Raises:
        ClientError: `bad_sdp`, `no_audio` or `no_common_codec`.
    """
    lines, candidates = list[str](), 0
    for line in sdp.splitlines():
        if line.startswith("a=candidate:"):
            if candidates == MOST_CANDIDATES or not _has_address(line):
                continue
            candidates += 1
        if line != END:
            lines.append(line)
    text = "\r\n".join(lines) + "\r\n"
    try:
        description = SessionDescription.parse(text)
        audio = [x for x in description.media if x.kind == "audio" and x.port]
        secured = all(
            x.dtls and x.dtls.fingerprints and x.ice and x.ice.usernameFragment and x.ice.password for x in audio
        )
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
    return text


def _has_address(line: str) -> bool:
    parts = line.split()
    if len(parts) < 8:
        return True  # malformed: for the parser to refuse
    try:
        ipaddress.ip_address(parts[4])
    except ValueError:
        return False
    return True


def parse_fragment(text: str) -> Fragment:
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
                    if _has_address(line):
                        candidates.append(candidate_from_sdp(value))
                case _:
                    pass
    except PARSE_ERRORS as e:
        raise ClientError("bad_sdp_fragment", "The body is not a trickle ICE fragment (RFC 8840).") from e
    if not username and not says_something:
        raise ClientError("bad_sdp_fragment", "The fragment has neither candidates nor credentials in it.")
    if bool(username) != bool(password):
        raise ClientError("bad_sdp_fragment", "The fragment has a=ice-ufrag or a=ice-pwd without the other.")
    return Fragment(username, password, tuple(candidates))

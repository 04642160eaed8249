"""Answering offers (RFC 3264, 8829, 8843): which sections a call uses, and the answer's text.

| section of the offer | in the answer |
| --- | --- |
| the first audio section that sends, in the chosen bundle | the caller's sound comes over it |
| the first audio section that receives | the agent's voice goes over it; often the same one |
| other audio sections of the bundle with a common codec | `inactive` |
| the first data channel section of the bundle | accepted |
| everything else | rejected alone, with port 0 |
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from media_server.errors import ClientError
from media_server.rtc.agreed import AgreedAudio, Codec
from media_server.rtc.sdp import Credentials, Offer, Section

__all__ = [
    "OPUS",
    "Agreement",
    "Reply",
    "agree",
    "common_codecs",
    "has_channels",
    "is_live",
    "local_fragment",
    "receivable",
]

CLOCKS = {"opus": 48_000, "pcmu": 8000, "pcma": 8000, "g722": 8000}
"""Codecs of voices, and the clocks of their RTP."""
NAMES = {"pcmu": "PCMU", "pcma": "PCMA", "g722": "G722"}
"""Names of codecs as RFC 3551 spells them."""
OPUS = "minptime=10;useinbandfec=1"
MAX_MESSAGE_SIZE = 262_144
"""Bytes of a message that the server takes (aiortc's own bound)."""
STREAM = "agent"


@dataclass(frozen=True, slots=True)
class Reply:
    """What an offer's section is answered with."""

    section: Section
    direction: str = ""
    """The direction of accepted audio and video."""
    codecs: tuple[Codec, ...] = ()
    is_accepted: bool = True


@dataclass(frozen=True, slots=True)
class Agreement:
    """What an offer and its answer agree on."""

    audio: AgreedAudio
    transport: Section
    """The one whose ICE and DTLS parameters count for all."""
    data: Section | None
    """The section of the data channels."""
    replies: tuple[Reply, ...]
    is_bundled: bool
    msid: str = f"{STREAM} voice"
    """Stream and track of the agent's voice (RFC 8830)."""
    origin: tuple[int, int] | None = None
    """Number and version of the description's session, where it is one of a series (RFC 3264 section 8)."""

    @property
    def is_dtls_server(self) -> bool:
        """The caller begins the handshake; always, but where it insists on the other way round."""
        return self.transport.setup != "passive"

    @property
    def mid(self) -> str:
        """The accepted section that stands for the transport."""
        return next(reply.section.mid for reply in self.replies if reply.is_accepted)

    def answer(self, local: Credentials, fingerprint: str, candidates: Sequence[str], is_lite: bool) -> str:
        """The text of the answer.

        Args:
            fingerprint: of the server's certificate, in SHA-256.
            candidates: lines without `a=`.
        """
        return self._text(local, fingerprint, candidates, is_lite, "passive" if self.is_dtls_server else "active")

    def offer(self, local: Credentials, fingerprint: str, candidates: Sequence[str], is_lite: bool) -> str:
        """The text of an offer of the server's own, with the same arguments."""
        return self._text(local, fingerprint, candidates, is_lite, "actpass")

    def _text(self, local: Credentials, fingerprint: str, candidates: Sequence[str], is_lite: bool, setup: str) -> str:
        number, version = self.origin or (secrets.randbits(62), 1)
        lines = ["v=0", f"o=- {number} {version} IN IP4 127.0.0.1", "s=-", "t=0 0"]
        if self.is_bundled:
            mids = [reply.section.mid for reply in self.replies if reply.is_accepted]
            lines.append(f"a=group:BUNDLE {' '.join(mids)}")
        if is_lite:
            lines.append("a=ice-lite")
        lines.append(f"a=msid-semantic:WMS {self.msid.split()[0]}")
        transport = [
            f"a=ice-ufrag:{local.username}",
            f"a=ice-pwd:{local.password}",
            f"a=fingerprint:sha-256 {fingerprint}",
            f"a=setup:{setup}",
        ]
        places = [*(f"a={candidate}" for candidate in candidates), "a=end-of-candidates"]
        for reply in self.replies:
            lines += self._section(reply)
            if reply.is_accepted:
                lines += [*transport, *places]
                places = []  # all sections share one transport
        return "\r\n".join(lines) + "\r\n"

    def _section(self, reply: Reply) -> Iterator[str]:
        section = reply.section
        formats = " ".join(str(c.payload_type) for c in reply.codecs) or " ".join(section.formats)
        yield f"m={section.kind} {9 if reply.is_accepted else 0} {section.protocol} {formats}"
        yield "c=IN IP4 0.0.0.0"
        if section.mid:
            yield f"a=mid:{section.mid}"
        if not reply.is_accepted:
            return
        if section.kind == "application":
            yield (
                f"a=sctpmap:{section.sctp_port} webrtc-datachannel 65535" if section.is_old_sctp else "a=sctp-port:5000"
            )
            yield f"a=max-message-size:{MAX_MESSAGE_SIZE}"
            return
        yield f"a={reply.direction}"
        if section.has_rtcp_mux:
            yield "a=rtcp-mux"
        for codec in reply.codecs:
            channels = f"/{codec.channels}" if codec.channels > 1 else ""
            yield f"a=rtpmap:{codec.payload_type} {NAMES.get(codec.name, codec.name)}/{codec.clock_hz}{channels}"
            if parameters := OPUS if codec.name == "opus" else codec.parameters.get(""):
                yield f"a=fmtp:{codec.payload_type} {parameters}"
        if reply.direction in ("sendrecv", "sendonly"):
            yield f"a=msid:{self.msid}"
            yield f"a=ssrc:{self.audio.local_ssrc} cname:{STREAM}"


def agree(offer: Offer) -> Agreement:
    """Choose what of an offer a call uses.

    Raises:
        ClientError: `no_audio`, `no_common_codec`, or `bad_sdp` where nothing can be sent or received securely.
    """
    bundles = list(_bundles(offer))
    live = [(mine, [section for section in sections if is_live(section, mine)]) for mine, sections in bundles]
    audio = [section for _, sections in live for section in sections if section.kind == "audio"]
    if not audio:
        raise ClientError("no_audio", "The offer has no audio section; a call needs one.")
    usable = [(mine, sections) for mine, sections in live if any(map(common_codecs, sections))]
    if not usable:
        raise ClientError("no_common_codec", "None of the offered audio codecs is supported; offer Opus.")
    is_bundled, chosen = max(usable, key=lambda each: _directions(each[1]))
    transport = next((s for s in chosen if s.port and s.credentials), next((s for s in chosen if s.credentials), None))
    if transport is None or not transport.fingerprints:
        missing = (
            "a DTLS fingerprint (a=fingerprint) with SHA-256 or better"
            if transport
            else "ICE credentials (a=ice-ufrag, a=ice-pwd)"
        )
        raise ClientError("bad_sdp", f"The audio section of the offer lacks {missing}.")
    heard = next((s for s in chosen if common_codecs(s) and s.direction in ("sendrecv", "sendonly")), None)
    spoken = next((s for s in chosen if common_codecs(s) and s.direction in ("sendrecv", "recvonly")), None)
    data = next((s for s in chosen if has_channels(s)), None)
    replies = []
    for section in offer.sections:
        codecs = common_codecs(section) if section in chosen else ()
        if codecs:
            direction = {(True, True): "sendrecv", (True, False): "recvonly", (False, True): "sendonly"}.get(
                (section is heard, section is spoken), "inactive"
            )
            replies.append(Reply(section, direction, receivable(section)))
        else:
            replies.append(Reply(section, is_accepted=section is data))
    agreed = AgreedAudio(
        receive=receivable(heard) if heard else (),
        send=common_codecs(spoken)[0] if spoken else None,
        send_red=_red(spoken) if spoken else None,
        local_ssrc=secrets.randbits(31) + 1,
        ssrcs=heard.ssrcs if heard else (),
    )
    return Agreement(agreed, transport, data, tuple(replies), is_bundled)


def _bundles(offer: Offer) -> Iterator[tuple[bool, list[Section]]]:
    """Sections that share a transport, and whether that is by a BUNDLE group."""
    by_mid = {section.mid: section for section in offer.sections if section.mid}
    bundled = set[str]()
    for mids in offer.bundles:
        own = [by_mid[mid] for mid in mids if mid in by_mid and mid not in bundled]
        bundled.update(section.mid for section in own)
        yield True, own
    for section in offer.sections:
        if section.mid not in bundled:
            yield False, [section]


def is_live(section: Section, is_bundled: bool) -> bool:
    """Whether a section can be used.

    Port 0 rejects it, but where it only says that the section cannot be had without its bundle.
    """
    return section.port > 0 or (is_bundled and section.is_bundle_only)


def has_channels(section: Section) -> bool:
    """Whether a section is of data channels, with a port that SCTP has; 0 closes it (RFC 8841 section 5.2)."""
    return section.kind == "application" and "SCTP" in section.protocol.upper() and 0 < section.sctp_port < 65536


def common_codecs(section: Section) -> tuple[Codec, ...]:
    """The audio codecs that both sides have, Opus first, the others in the offer's order."""
    if section.kind != "audio":
        return ()
    known = [codec for codec in section.codecs if CLOCKS.get(codec.name) == codec.clock_hz]
    return tuple(sorted(known, key=lambda codec: codec.name != "opus"))


def _red(section: Section) -> Codec | None:
    """Redundant audio around the codec of the voice, where it is offered as browsers do: `a=fmtp:63 111/111`."""
    voice = str(common_codecs(section)[0].payload_type)
    for codec in section.codecs:
        levels = codec.parameters.get("", "").split("/")
        if codec.name == "red" and len(levels) > 1 and set(levels) == {voice}:
            return codec
    return None


def receivable(section: Section) -> tuple[Codec, ...]:
    """What the caller may send: redundant audio first, so that it is used, the voices' codecs, and telephones' keys."""
    red = _red(section)
    keys = (codec for codec in section.codecs if codec.name == "telephone-event")
    return (*((red,) if red else ()), *common_codecs(section), *keys)


def _directions(sections: list[Section]) -> int:
    """How many of the two directions have a section."""
    found = {section.direction for section in sections if common_codecs(section)}
    return bool(found & {"sendrecv", "sendonly"}) + bool(found & {"sendrecv", "recvonly"})


def local_fragment(local: Credentials, mid: str, candidates: Sequence[str]) -> str:
    """Our side of an ICE restart, as a trickle ICE fragment (RFC 8840)."""
    lines = [
        f"a=ice-ufrag:{local.username}",
        f"a=ice-pwd:{local.password}",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0",
        f"a=mid:{mid}",
        *(f"a={candidate}" for candidate in candidates),
        "a=end-of-candidates",
    ]
    return "\r\n".join(lines) + "\r\n"

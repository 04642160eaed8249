"""Offers and answers of one connection to a room, one after the other (RFC 3264): which section carries what.

| section of the client's offer | in the answer |
| --- | --- |
| the first audio section that receives | the agent's voice, in this section for good |
| audio that sends | `recvonly`: the caller's sound |
| other audio, and video | `inactive`, so that the client may offer it again |
| the first section of data channels | accepted |
| anything else | rejected alone, with port 0 |
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from media_server.errors import ClientError
from media_server.rtc.agreed import AgreedAudio, Codec
from media_server.rtc.answer import Agreement, Reply, common_codecs, has_channels, is_live, receivable
from media_server.rtc.sdp import Offer, Section, parse_offer

__all__ = ["Negotiation"]

MAX_CHARACTERS = 128 * 1024
VOICE_CODEC = Codec(111, "opus", 48_000, 2)
"""What the server offers to send."""
PROTOCOL = "UDP/TLS/RTP/SAVPF"


class Negotiation:
    """One connection's descriptions.

    Args:
        voice: stream and track of the agent's voice, as `a=msid` has them; None for a connection without it.
    """

    def __init__(self, voice: str | None) -> None:
        self.voice_mid: str | None = None
        """The section of the agent's voice."""
        self.tracks: frozenset[str] = frozenset()
        """The client's names of the tracks that it sends."""
        self._voice = voice
        self._ssrc = secrets.randbits(31) + 1
        self._number, self._version = secrets.randbits(62), 0
        self._receive: dict[int, Codec] = {}
        self._send: Codec | None = None

    @property
    def lacks_voice(self) -> bool:
        """Whether the client has offered no section yet for the agent's voice."""
        return self._voice is not None and self.voice_mid is None

    def answer(self, text: str) -> tuple[Offer, Agreement]:
        """An offer of the client's, and what is agreed with it.

        Raises:
            ClientError: `bad_sdp`.
        """
        offer = _parsed(text)
        bundle = set(offer.bundles[0]) if offer.bundles else {section.mid for section in offer.sections[:1]}
        usable = [s for s in offer.sections if s.mid in bundle and is_live(s, True)]
        transport = _transport(usable)
        data = next((s for s in usable if has_channels(s)), None)
        replies = [self._reply(section, section in usable, section is data) for section in offer.sections]
        if not any(reply.is_accepted for reply in replies):
            raise ClientError("bad_sdp", "The offer has no section that can be used.")
        heard = [r.section for r in replies if r.is_accepted and r.direction in ("recvonly", "sendrecv")]
        self.tracks = frozenset(section.track for section in heard)
        for section in heard:
            self._receive.update((codec.payload_type, codec) for codec in receivable(section))
        return offer, self._agreement(transport, data, replies, heard)

    def offer(self) -> Agreement:
        """What the server offers: its voice and data channels."""
        voice = _own_section("audio", "0", PROTOCOL, (VOICE_CODEC,))
        data = _own_section("application", "1", "UDP/DTLS/SCTP", ())
        self.voice_mid = voice.mid
        return self._agreement(voice, data, [Reply(voice, "sendonly", (VOICE_CODEC,)), Reply(data)], [])

    def answered(self, text: str) -> tuple[Offer, Agreement]:
        """The client's answer to the server's offer, and what is agreed with it.

        Raises:
            ClientError: `bad_sdp`.
        """
        answer = _parsed(text)
        transport = _transport([section for section in answer.sections if section.port])
        spoken = next((s for s in answer.sections if s.mid == self.voice_mid and s.port and common_codecs(s)), None)
        self._send = common_codecs(spoken)[0] if spoken else None
        data = next((s for s in answer.sections if s.kind == "application" and s.port), None)
        return answer, self._agreement(transport, data, [], [])

    def _reply(self, section: Section, is_usable: bool, is_data: bool) -> Reply:
        if is_data:
            return Reply(section)
        codecs = common_codecs(section)
        if is_usable and section.kind == "video":
            # a section that is rejected may come back as another kind of section; this one is left in its place
            video = tuple(codec for codec in section.codecs if codec.name == "vp8")[:1]
            return Reply(section, "inactive", video, is_accepted=bool(video))
        if not is_usable or not codecs:
            return Reply(section, is_accepted=False)
        receives = section.direction in ("recvonly", "sendrecv")
        if receives and self.lacks_voice:
            self.voice_mid, self._send = section.mid, codecs[0]
        speaks = receives and section.mid == self.voice_mid
        hears = section.direction in ("sendonly", "sendrecv")
        direction = {(True, True): "sendrecv", (True, False): "recvonly", (False, True): "sendonly"}.get(
            (hears, speaks), "inactive"
        )
        return Reply(section, direction, receivable(section))

    def _agreement(
        self, transport: Section, data: Section | None, replies: list[Reply], heard: list[Section]
    ) -> Agreement:
        self._version += 1
        audio = AgreedAudio(
            receive=tuple(self._receive.values()),
            send=self._send,
            local_ssrc=self._ssrc,
            ssrcs=tuple(ssrc for section in heard for ssrc in section.ssrcs),
        )
        origin = (self._number, self._version)
        agreement = Agreement(audio, transport, data, tuple(replies), is_bundled=True, origin=origin)
        return replace(agreement, msid=self._voice) if self._voice else agreement


def _parsed(text: str) -> Offer:
    if len(text) > MAX_CHARACTERS:
        raise ClientError("bad_sdp", f"The session description has more than {MAX_CHARACTERS} characters.")
    return parse_offer(text)


def _transport(sections: list[Section]) -> Section:
    """The section whose ICE and DTLS parameters count for all."""
    found = next((s for s in sections if s.credentials and s.fingerprints), None)
    if found is None:
        message = "The session description lacks ICE credentials (a=ice-ufrag, a=ice-pwd) or a=fingerprint."
        raise ClientError("bad_sdp", message)
    return found


def _own_section(kind: str, mid: str, protocol: str, codecs: tuple[Codec, ...]) -> Section:
    formats = tuple(str(codec.payload_type) for codec in codecs) or ("webrtc-datachannel",)
    return Section(
        kind=kind,
        port=9,
        protocol=protocol,
        formats=formats,
        mid=mid,
        direction="recvonly",
        codecs=codecs,
        ssrcs=(),
        track="",
        credentials=None,
        fingerprints=(),
        setup="actpass",
        candidates=(),
        is_bundle_only=False,
        has_rtcp_mux=True,
        sctp_port=5000,
        is_old_sctp=False,
        max_message_size=0,
    )

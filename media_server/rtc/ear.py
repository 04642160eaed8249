"""The receiving half of a call's RTP session: packets to the caller's microphone, and what was lost on the way."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from media_server.audio import MODEL_RATE_HZ, Samples
from media_server.rtc.agreed import AgreedAudio, Codec
from media_server.rtc.allowance import Allowance
from media_server.rtc.decoding import Decoder, decoder_of
from media_server.rtc.jitter import Decision, JitterBuffer, Missing, Play
from media_server.rtc.microphone import Microphone
from media_server.rtc.rtp import (
    RTP_HEADER,
    ReportBlock,
    RtpPacket,
    SenderReport,
    parse_red,
    parse_rtp,
    parse_telephone_events,
)
from media_server.rtc.timeline import HELD_UP_S, InterarrivalJitter, Timeline

__all__ = ["Ear", "Reception"]

QUIET_S = 0.2
"""Seconds without packets after which there is silence."""
STALL_S = 1.5
"""Seconds without packets up to which they may only be held up: that silence ends nothing that the caller is saying."""
CONCEALED_S = 0.1
"""Longest sound that is made up for a loss; the rest of it is silence."""
MAX_LOSS_S = 60.0
FRAME_TICKS = 960
"""20 ms at 48 kHz."""
ABANDONED_S = 0.1
"""Seconds without packets after which another SSRC takes a stream's place."""
AT_ONCE_S, PACE = 25.0, 1.25
"""Seconds of sound that are decoded at once, and for each second after that: what comes faster is dropped, for one
caller's flood must not take the time of others."""
SHORTEST_S = 0.0025
"""Sound that a packet counts for at least."""
KEYS_AT_ONCE, KEYS_PER_S = 100, 20
MAX_KEYS = 16
LONGEST_KEY = 0xFFFF
"""Ticks after which a key that is still held goes on under another time (RFC 4733 section 2.5.1.3)."""
NO_SOUND = ("telephone-event", "red")
"""Codecs of what is no sound, or not by itself."""
MAX_WAITING = 50
"""Packets of another SSRC that wait for the stream before it to end."""


@dataclass(slots=True)
class Reception:
    """What became of the caller's packets since the call began."""

    received: int = 0
    lost: int = 0
    """Packets that never came, or too late."""
    played_s: float = 0.0
    restored_s: float = 0.0
    """Sound of lost packets that others had a copy of."""
    concealed_s: float = 0.0
    """Sound of lost packets that nothing had a copy of."""
    malformed: int = 0
    jitter_s: float = 0.0


@dataclass(slots=True)
class _Stream:
    """What belongs to one SSRC."""

    ssrc: int
    buffer: JitterBuffer = field(default_factory=JitterBuffer)
    timeline: Timeline = field(default_factory=Timeline)
    jitter: InterarrivalJitter = field(default_factory=InterarrivalJitter)
    codec: Codec | None = None
    """The codec of the packet that was decoded last."""
    toc: bytes = b""
    """The first byte of that packet, where it was one of Opus with a single frame of 20 ms."""
    arrived_s: float = -math.inf
    """When its newest packet with sound came; others, as of probes, hold no stream's place."""
    last_report: tuple[int, float] = (0, 0.0)
    """Middle bits of the newest sender report's NTP time, and when it arrived."""
    told: tuple[int, int] = (0, 0)
    """Packets expected and received at the last report of ours."""

    def keep(self, codec: Codec, ticks: int, payload: bytes) -> bytes | None:
        """The packet, where a recording can hold it as it is."""
        whole = codec.name == "opus" and ticks == FRAME_TICKS and not payload[0] & 3
        self.toc = payload[:1] if whole else b""
        return payload if whole else None


class Ear:
    """`take` is given decrypted packets as they arrive, `tick` the time between them; neither raises.

    Args:
        microphone: is given 16 kHz samples with the time of their capture.
        on_digit: is called for each key of a telephone.
    """

    def __init__(
        self,
        agreed: AgreedAudio,
        microphone: Microphone,
        on_digit: Callable[[str], None] = lambda digit: None,
    ) -> None:
        self.reception = Reception()
        self._microphone = microphone
        microphone.quiet_s, microphone.stall_s = QUIET_S, STALL_S
        self._on_digit = on_digit
        self._codecs = {codec.payload_type: codec for codec in agreed.receive}
        self._red = next((codec for codec in agreed.receive if codec.name == "red"), None)
        self._decoders: dict[int, Decoder] = {}
        self._stream: _Stream | None = None
        self._other: _Stream | None = None
        """A stream that may take the place of the one that is heard."""
        self._waiting: list[tuple[RtpPacket, float]] = []
        """Packets of that other stream."""
        self._sound = Allowance(AT_ONCE_S, PACE)
        self._presses = Allowance(KEYS_AT_ONCE, KEYS_PER_S)
        self._after_loss = False
        """What was said before the sound that comes next is lost."""
        self._keys: deque[tuple[int, int, str]] = deque(maxlen=MAX_KEYS)
        """SSRC, time and digit of the keys that were told last."""

    def accept(self, codecs: Iterable[Codec]) -> None:
        """Take these codecs too: a later offer has them."""
        for codec in codecs:
            if self._codecs.get(codec.payload_type) != codec:
                self._codecs[codec.payload_type] = codec
                self._decoders.pop(codec.payload_type, None)

    def take(self, packet: bytes, arrived_s: float) -> None:
        """An RTP packet, and when it arrived on the microphone's clock."""
        stream = self._stream
        if stream is not None and self._take_next(stream, packet, arrived_s):
            return
        parsed = parse_rtp(packet)
        if parsed is None:
            self.reception.malformed += 1
            return
        if stream is None:
            stream = self._stream = _Stream(parsed.ssrc)
        elif parsed.ssrc != stream.ssrc:
            self._take_other(parsed, arrived_s)
            return
        self._enter(stream, parsed, arrived_s)

    def _take_next(self, stream: _Stream, packet: bytes, arrived_s: float) -> bool:
        """Decode a packet that is what nearly all are: plain, and the next one. It says nothing of any other packet."""
        codec = stream.codec
        if codec is None or len(packet) <= RTP_HEADER.size:
            return False
        first, second, number, time, ssrc = RTP_HEADER.unpack_from(packet)
        if first != 128 or ssrc != stream.ssrc or time != stream.timeline.end:
            return False
        if arrived_s - stream.arrived_s >= HELD_UP_S or not stream.timeline.is_certain:
            return False
        payload_type, payload = second & 127, packet[RTP_HEADER.size :]
        if self._red is not None and payload_type == self._red.payload_type:
            # copies of packets before it are of no use where none is missing
            payload_type, _, payload = (parse_red(payload) or [(-1, 0, b"")])[-1]
        if payload_type != codec.payload_type:
            return False
        decoder = self._decoders[codec.payload_type]
        if not (ticks := decoder.ticks(payload)) or not stream.buffer.take_next(number, time):
            return False
        reception, timeline, clock_hz = self.reception, stream.timeline, codec.clock_hz
        stream.arrived_s = arrived_s
        reception.received += 1
        if not self._sound.take(max(ticks / clock_hz, SHORTEST_S), arrived_s):
            reception.malformed += 1
            return True
        stream.jitter.note(time, clock_hz, arrived_s)
        reception.jitter_s = stream.jitter.value_s
        captured_at_s = timeline.follow(ticks, arrived_s)
        samples = decoder.decode(payload)
        if len(samples):
            reception.played_s += ticks / clock_hz
            self._microphone.push(samples, captured_at_s, packet=stream.keep(codec, ticks, payload))
        else:
            reception.malformed += 1
        return True

    def control(self, report: SenderReport, arrived_s: float) -> None:
        """A sender report of the caller's."""
        if self._stream and report.ssrc == self._stream.ssrc:
            self._stream.last_report = (report.ntp >> 16 & 0xFFFFFFFF, arrived_s)

    def goodbye(self, ssrcs: Collection[int]) -> None:
        """The sender of these pauses (RFC 3550 section 6.6); what it sends later is heard."""
        if self._stream and self._stream.ssrc in ssrcs:
            self._microphone.pause()

    def tick(self, now_s: float) -> None:
        """Time passes: a hole was waited for long enough, or a stream has ended and another one takes its place."""
        if (stream := self._stream) is None:
            return
        due_s = stream.buffer.due_s
        if due_s is not None and now_s >= due_s:
            self._play(stream, stream.buffer.due(now_s))
        if self._waiting and now_s - stream.arrived_s >= ABANDONED_S:
            self._change()

    def report(self, now_s: float) -> ReportBlock | None:
        """What is received of the stream that is heard, for a report that is sent now."""
        stream = self._stream
        if stream is None or stream.buffer.received == 0:
            return None
        buffer = stream.buffer
        expected, received = buffer.expected - stream.told[0], buffer.received - stream.told[1]
        stream.told = (buffer.expected, buffer.received)
        last, at_s = stream.last_report
        return ReportBlock(
            stream.ssrc,
            max(0.0, (expected - received) / expected) if expected > 0 else 0.0,
            buffer.expected - buffer.received,
            buffer.highest - 65536 & 0xFFFFFFFF,
            int(stream.jitter.value_s * stream.timeline.clock_hz),
            last,
            int((now_s - at_s) * 65536) & 0xFFFFFFFF if last else 0,
        )

    def _take_other(self, packet: RtpPacket, arrived_s: float) -> None:
        """Keep a packet of another SSRC than the one being heard, until that one has ended. Keys do not wait."""
        codec, payload = self._primary(packet)
        if codec is None or codec.name in NO_SOUND or not payload:
            if codec is not None and codec.name == "telephone-event":
                self._press(packet.ssrc, packet.time, payload, arrived_s)
            return
        if self._other is None or (packet.ssrc != self._other.ssrc and arrived_s - self._waiting[-1][1] >= ABANDONED_S):
            self._other, self._waiting = _Stream(packet.ssrc), []
        if packet.ssrc != self._other.ssrc:
            return
        self._waiting = [*self._waiting, (packet, arrived_s)][-MAX_WAITING:]
        assert self._stream
        if arrived_s - self._stream.arrived_s >= ABANDONED_S:
            self._change()

    def _primary(self, packet: RtpPacket) -> tuple[Codec | None, bytes]:
        """A packet's own codec and payload, without redundant audio around them."""
        codec, payload = self._codecs.get(packet.payload_type), packet.payload
        if codec is not None and codec.name == "red":
            payload_type, _, payload = (parse_red(payload) or [(-1, 0, b"")])[-1]
            codec = self._codecs.get(payload_type)
        return codec, payload

    def _change(self) -> None:
        assert self._stream
        assert self._other
        self._play(self._stream, self._stream.buffer.flush())
        self._stream, waiting = self._other, self._waiting
        self._other, self._waiting = None, []
        self._decoders.clear()
        for packet, arrived_s in waiting:
            self._enter(self._stream, packet, arrived_s)

    def _enter(self, stream: _Stream, packet: RtpPacket, arrived_s: float) -> None:
        payload_type, _, number, time, _, payload = packet
        self.reception.received += 1
        codec = self._codecs.get(payload_type)
        if codec is not None and codec.name == "red":
            payload_type, payload = self._unpack(stream, number, time, payload, arrived_s)
            codec = self._codecs.get(payload_type)
        if codec is None or codec.name in NO_SOUND:
            # also what nobody agreed on takes a number
            if codec is not None and codec.name == "telephone-event":
                self._press(packet.ssrc, time, payload, arrived_s)
            payload = b""
        if payload and codec is not None:
            stream.arrived_s = arrived_s
            stream.jitter.note(time, codec.clock_hz, arrived_s)
            self.reception.jitter_s = stream.jitter.value_s
        self._play(stream, stream.buffer.push(number, Play(payload_type, time, payload, arrived_s)))

    def _unpack(self, stream: _Stream, number: int, time: int, payload: bytes, arrived_s: float) -> tuple[int, bytes]:
        """The packet's own payload; earlier ones that were lost are put into their places."""
        blocks = parse_red(payload)
        if not blocks:
            self.reception.malformed += bool(payload)
            return -1, b""
        for back, (payload_type, offset, body) in zip(range(len(blocks) - 1, 0, -1), blocks[:-1], strict=True):
            codec = self._codecs.get(payload_type)
            if not body or codec is None or codec.name in NO_SOUND:
                continue
            # some clients' only copy is of the packet before last, which mostly was heard
            if not stream.timeline.has_heard(time - offset):
                # where it is a copy of would have arrived as much earlier as it was sent earlier
                copy = Play(payload_type, time - offset & 0xFFFFFFFF, body, arrived_s - offset / codec.clock_hz)
                restored = stream.buffer.restore(number - back & 0xFFFF, copy, arrived_s)
                self._play(stream, restored, copied=True)
        return blocks[-1][0], blocks[-1][2]

    def _press(self, ssrc: int, time: int, payload: bytes, now_s: float) -> None:
        for event in parse_telephone_events(payload):
            # one key is sent in many packets, all with the time at which it was pressed
            key = (ssrc, time, event.digit)
            if key not in self._keys:
                is_held = (ssrc, time - LONGEST_KEY & 0xFFFFFFFF, event.digit) in self._keys
                self._keys.append(key)
                if not is_held and self._presses.take(1, now_s):
                    self._on_digit(event.digit)
            time = time + event.duration & 0xFFFFFFFF

    def _decoder(self, codec: Codec) -> Decoder:
        if (decoder := self._decoders.get(codec.payload_type)) is None:
            decoder = self._decoders[codec.payload_type] = decoder_of(codec)
        return decoder

    def _play(self, stream: _Stream, decisions: list[Decision], copied: bool = False) -> None:
        for decision in decisions:
            if isinstance(decision, Missing):
                self._conceal(stream, decision)
                continue
            codec = self._codecs[decision.payload_type]
            decoder, payload = self._decoder(codec), decision.payload
            ticks = decoder.ticks(payload)
            if not self._sound.take(max(ticks / codec.clock_hz, SHORTEST_S), decision.arrived_s):
                ticks = 0
            begin_s = stream.timeline.place(decision.time, ticks, codec.clock_hz, decision.arrived_s) if ticks else 0.0
            samples = decoder.decode(payload) if ticks else None
            if samples is None or not len(samples):
                self.reception.malformed += 1
                continue
            if copied:
                self.reception.restored_s += ticks / codec.clock_hz
            else:
                self.reception.played_s += ticks / codec.clock_hz
            self._hear(stream, samples, begin_s, stream.keep(codec, ticks, payload))
            stream.timeline.advance(ticks)
            stream.codec = codec

    def _conceal(self, stream: _Stream, missing: Missing) -> None:
        timeline, successor = stream.timeline, missing.successor
        self.reception.lost += missing.packets
        if not successor.payload or stream.codec is None:
            return
        codec, payload = self._codecs[successor.payload_type], successor.payload
        decoder = self._decoder(codec)
        if not (ticks := decoder.ticks(payload)):
            return
        end_s = timeline.end_s
        begin_s = timeline.place(successor.time, ticks, codec.clock_hz, successor.arrived_s, after_loss=True)
        lost = round((begin_s - end_s) * codec.clock_hz)
        # where the sound goes on without a gap only numbers are missing
        self.reception.lost -= missing.packets - min(missing.packets, max(0, -(-lost // ticks)))
        if not 0 < lost <= MAX_LOSS_S * codec.clock_hz:
            return
        # the last of the lost packets may have a copy in its successor
        copied = min(lost, ticks) if decoder.has_copy(payload) else 0
        made_up = min(lost - copied, int(CONCEALED_S * codec.clock_hz))
        if not self._sound.take((made_up + copied) / codec.clock_hz, successor.arrived_s):
            self._after_loss = True
            return
        self._make_up(stream, codec, made_up, end_s)
        self.reception.concealed_s += (lost - copied) / codec.clock_hz
        self._after_loss = True
        if copied:
            restored = decoder.restore(payload, copied * MODEL_RATE_HZ // codec.clock_hz)
            self._hear(stream, restored, begin_s - copied / codec.clock_hz)
            self.reception.restored_s += copied / codec.clock_hz

    def _make_up(self, stream: _Stream, codec: Codec, ticks: int, begin_s: float) -> None:
        """Go on with what was heard before, in pieces that decoders take."""
        decoder = self._decoder(codec)
        while ticks > 0:
            piece = min(ticks, codec.clock_hz // 50)
            samples = decoder.conceal(piece * MODEL_RATE_HZ // codec.clock_hz)
            if len(samples):
                # a packet without a frame makes each decoder conceal as much
                whole = codec.name == "opus" and piece == FRAME_TICKS and stream.toc
                self._hear(stream, samples, begin_s, whole or None)
            begin_s += piece / codec.clock_hz
            ticks -= piece

    def _hear(self, stream: _Stream, samples: Samples, begin_s: float, packet: bytes | None = None) -> None:
        captured_at_s = stream.timeline.captured_at_s(begin_s)
        self._microphone.push(samples, captured_at_s, after_loss=self._after_loss, packet=packet)
        self._after_loss = False

"""Every offer that has an answer gets it."""

from __future__ import annotations

import re

import pytest

from media_server.errors import ClientError
from media_server.rtc.answer import agree, local_fragment
from media_server.rtc.sdp import Credentials, parse_fragment, parse_offer
from tests.unit.rtc.clients import CLIENTS, REJECTED_BY_SHAPE, SHAPES

OURS = Credentials("ours", "p" * 24)
CANDIDATES = ["candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host"]


def answered(offer: str) -> str:
    return agree(parse_offer(offer)).answer(OURS, "AB:CD", CANDIDATES, True)


def sections(answer: str) -> list[str]:
    return re.split(r"\r\n(?=m=)", answer)[1:]


def shape(answer: str) -> str:
    """For each section its direction, or what became of it."""
    found = []
    for section in sections(answer):
        direction = re.search(r"\r\na=(sendrecv|sendonly|recvonly|inactive)\r\n", section + "\r\n")
        port = section.split()[1]
        found.append("rejected" if port == "0" else direction[1] if direction else "accepted")
    return " ".join(found)


@pytest.mark.parametrize(("offer", "expected"), SHAPES.values(), ids=SHAPES.keys())
def test_each_section_is_answered_for_itself(offer: str, expected: str) -> None:
    answer = answered(offer)
    assert shape(answer) == expected
    offered = [(line.split()[0], line.split()[2]) for line in offer.splitlines() if line.startswith("m=")]
    assert [(s.split()[0], s.split()[2]) for s in sections(answer)] == offered


@pytest.mark.parametrize(("offer", "code"), REJECTED_BY_SHAPE.values(), ids=REJECTED_BY_SHAPE.keys())
def test_an_offer_without_an_answer_is_refused(offer: str, code: str) -> None:
    with pytest.raises(ClientError) as refused:
        agree(parse_offer(offer))
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ("Chromium", "sendrecv accepted"),
        ("Firefox, max-bundle", "sendrecv accepted"),
        ("Safari", "sendrecv accepted"),
        ("OBS over WHIP", "recvonly rejected"),
        ("GStreamer's whipclientsink", "recvonly"),
        ("Pion", "sendrecv accepted"),
        ("libdatachannel", "sendrecv accepted"),
        ("aiortc", "sendrecv accepted"),
        ("LiveKit's publisher", "accepted recvonly"),
        ("Pipecat's SmallWebRTC client", "sendrecv rejected rejected accepted"),
    ],
)
def test_offers_of_real_clients_are_answered(client: str, expected: str) -> None:
    offer = CLIENTS[client]
    agreement = agree(parse_offer(offer))
    answer = answered(offer)
    assert shape(answer) == expected
    assert agreement.audio.ssrcs == (1001,)
    assert agreement.audio.receive
    assert all(codec.payload_type in range(128) for codec in agreement.audio.receive)
    accepted = [s for s in sections(answer) if s.split()[1] != "0"]
    for section in accepted:
        assert f"a=ice-ufrag:{OURS.username}\r\n" in section
        assert "a=setup:passive" in section
    assert [s.count("a=candidate:") for s in accepted] == [1] + [0] * (len(accepted) - 1)
    mids = [m[1] for s in accepted if (m := re.search(r"a=mid:(\S+)", s))]
    assert f"a=group:BUNDLE {' '.join(mids)}\r\n" in answer


def test_voice_and_ear_on_different_sections_have_each_its_own_payload_type() -> None:
    offer, _ = SHAPES["microphone, then agent"]
    head, mic, ear = re.split(r"(?<=\r\n)(?=m=)", offer)
    ear = ear.replace("111", "96")
    audio = agree(parse_offer(head + mic + ear)).audio
    assert [c.payload_type for c in audio.receive if c.name == "opus"] == [111]
    assert audio.send is not None
    assert audio.send.payload_type == 96


def test_a_caller_who_only_sends_or_only_hears() -> None:
    sends = agree(parse_offer(SHAPES["send-only"][0])).audio
    assert (sends.send, bool(sends.receive)) == (None, True)
    hears = agree(parse_offer(SHAPES["receive-only"][0])).audio
    assert (bool(hears.send), hears.receive) == (True, ())
    neither = agree(parse_offer(SHAPES["inactive"][0])).audio
    assert (neither.send, neither.receive) == (None, ())


def test_redundant_audio_and_the_keys_of_telephones_are_agreed_on() -> None:
    audio = agree(parse_offer(CLIENTS["Chromium"])).audio
    assert [c.name for c in audio.receive] == ["red", "opus", "g722", "pcmu", "pcma"] + ["telephone-event"] * 2
    assert audio.send_red is not None
    assert audio.send_red.payload_type == 63
    section = sections(answered(CLIENTS["Chromium"]))[0]
    assert section.startswith("m=audio 9 UDP/TLS/RTP/SAVPF 63 111 9 0 8 110 126\r\n")
    for line in ("a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111", "a=rtpmap:111 opus/48000/2", "a=rtpmap:8 PCMA/8000",
                 "a=rtpmap:126 telephone-event/8000"):  # fmt: skip
        assert line + "\r\n" in section


def test_redundant_audio_around_another_codec_is_left_out() -> None:
    audio = agree(parse_offer(CLIENTS["Chromium"].replace("a=fmtp:63 111/111", "a=fmtp:63 9/9"))).audio
    assert "red" not in [c.name for c in audio.receive]
    assert audio.send_red is None


def test_opus_is_preferred_wherever_it_stands() -> None:
    audio = agree(parse_offer(CLIENTS["Pion"].replace("111 9 0 8", "8 0 111 9"))).audio
    assert audio.send is not None
    assert audio.send.name == "opus"


def test_a_caller_that_waits_for_our_handshake_gets_it() -> None:
    offer = CLIENTS["Chromium"].replace("setup:actpass", "setup:passive")
    agreement = agree(parse_offer(offer))
    assert not agreement.is_dtls_server
    assert "a=setup:active\r\n" in agreement.answer(OURS, "AB:CD", [], True)


def test_the_old_form_of_the_data_channel_is_answered_in_kind() -> None:
    agreement = agree(parse_offer(CLIENTS["Pion"]))
    assert agreement.data
    assert agreement.data.max_message_size == 65536
    section = sections(answered(CLIENTS["Pion"]))[1]
    assert section.startswith("m=application 9 DTLS/SCTP 5000\r\n")
    assert "a=sctpmap:5000 webrtc-datachannel" in section


def test_the_port_of_the_old_form_is_in_the_media_line() -> None:
    offer = CLIENTS["Pion"].replace("DTLS/SCTP 5000", "DTLS/SCTP 6000").replace("a=sctpmap:5000", "a=sctpmap:6000")
    for text in (offer, re.sub("a=sctpmap:.*\r\n", "", offer)):
        agreement = agree(parse_offer(text))
        assert agreement.data
        assert agreement.data.sctp_port == 6000
        assert "a=sctpmap:6000 webrtc-datachannel" in sections(answered(text))[1]


def test_what_rtcp_has_is_no_payload_type() -> None:
    agreement = agree(parse_offer(SHAPES["a payload type of RTCP beside one of RTP"][0]))
    assert [codec.payload_type for codec in agreement.audio.receive] == [0]


def test_a_restart_is_answered_with_a_fragment_that_can_be_read() -> None:
    assert parse_fragment(local_fragment(OURS, "0", CANDIDATES)).credentials == OURS

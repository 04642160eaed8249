from __future__ import annotations

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media_server.errors import ClientError
from media_server.rtc.answer import Agreement, agree
from media_server.rtc.sdp import Credentials, parse_fragment, parse_offer

DAMAGE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.fixture(scope="module")
async def offer() -> str:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTrack(AudioStreamTrack())
    pc.createDataChannel("events")
    await pc.setLocalDescription(await pc.createOffer())
    sdp = pc.localDescription.sdp
    await pc.close()
    return sdp


def agreed(text: str) -> Agreement:
    return agree(parse_offer(text))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a=group:BUNDLE 0", "a=group:BUNDLE 9 0"),
        ("a=group:BUNDLE 0", "a=group:BUNDLE 0 9"),
        ("a=group:BUNDLE 0", "a=group:BUNDLE 0 0"),
        ("a=ice-ufrag:", "a=unknown\r\na=ice-ufrag:"),
        ("a=sendrecv", ""),
        ("v=0", "\ufeffv=0"),
        ("s=-", "s=the\u2028desk\x85of \x1c\x0cours"),
        ("a=setup", "a=candidate:\r\na=setup"),
    ],
    ids=[
        "bundle begins elsewhere",
        "bundle ends elsewhere",
        "twice",
        "unknown attribute",
        "no direction",
        "a byte order mark",
        "marks in free text",
        "a candidate that is empty",
    ],
)
def test_an_offer_that_can_be_answered_is(offer: str, before: str, after: str) -> None:
    assert before in offer
    made = agreed(offer.replace(before, after, 1))
    assert made.audio.send == made.audio.receive[0]
    assert made.data


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("a=ice-ufrag:", "a=ice-ufrag:\u20ac", "Line "),
        ("a=ice-pwd:", "a=ice-pwd:" + "x" * 300, "Line "),
        ("m=audio", "\r\n".join(["a=x"] * 6000) + "\r\nm=audio", "more than 6000 lines"),
        ("m=audio", "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:7\r\n" * 64 + "m=audio", "more than 64 media sections"),
        ("m=audio", "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\nm=audio", "same a=mid"),
        ("m=audio", "m=audio 9 UDP/TLS/RTP/SAVPF " + "0 " * 200 + "\r\nm=audio", "more than 128 payload types"),
        ("m=audio", "m=audio 99999 UDP/TLS/RTP/SAVPF 0\r\nm=audio", "begins with its kind"),
        ("a=setup", "nonsense\r\na=setup", "'nonsense'"),
        ("a=setup", "a=candidate:1 x udp y 1.2.3.4 z\r\na=setup", "no ICE candidate"),
        ("v=0", "v=1", "v=0"),
    ],
)  # fmt: skip
def test_an_offer_that_cannot_be_read_is_refused_with_what_is_wrong(
    offer: str, before: str, after: str, says: str
) -> None:
    assert before in offer
    with pytest.raises(ClientError) as refused:
        agreed(offer.replace(before, after, 1))
    assert (refused.value.status, refused.value.code) == (400, "bad_sdp")
    assert says in refused.value.message
    assert refused.value.message.endswith(".")


def damaged(lines: list[str], data: st.DataObject) -> str:
    for _ in range(data.draw(st.integers(1, 4))):
        i = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["drop", "cut", "text", "copy", "number", "swap"])):
            case "drop":
                lines[i] = ""
            case "cut":
                lines[i] = lines[i][: data.draw(st.integers(0, len(lines[i])))]
            case "text":
                lines[i] = lines[i][:2] + data.draw(st.text(max_size=60))
            case "copy":
                lines.insert(i, data.draw(st.sampled_from(lines)))
            case "number":
                parts = lines[i].split(" ")
                parts[-1] = str(data.draw(st.integers(-1, 2**40)))
                lines[i] = " ".join(parts)
            case "swap":
                j = data.draw(st.integers(0, len(lines) - 1))
                lines[i], lines[j] = lines[j], lines[i]
    return "\r\n".join(lines)


@settings(max_examples=300, suppress_health_check=DAMAGE, deadline=None)
@given(data=st.data())
def test_a_damaged_offer_is_answered_or_refused(offer: str, data: st.DataObject) -> None:
    """Whatever is wrong with it: an answer, or `ClientError`."""
    try:
        made = agreed(damaged(offer.splitlines(), data))
    except ClientError as refused:
        assert refused.status == 400
        return
    answer = made.answer(Credentials("abcd", "x" * 24), "AB:CD", ["candidate:1 1 udp 1 192.0.2.1 9 typ host"], True)
    assert answer.count("\r\nm=") == len(made.replies)


@given(st.text(max_size=200))
def test_any_text_is_refused_as_an_offer(text: str) -> None:
    with pytest.raises(ClientError):
        agreed(text)


def test_a_fragment() -> None:
    f = parse_fragment(
        "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 RTP 0\r\na=mid:0\r\n"
        "a=candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host\r\n"
        "a=candidate:2 1 udp 2130706431 name.local 50000 typ host\r\na=end-of-candidates\r\n"
    )
    assert f.credentials == Credentials("abcd", "0123456789012345678901")
    assert f.candidates == (
        "candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host",
        "candidate:2 1 udp 2130706431 name.local 50000 typ host",
    )


@pytest.mark.parametrize("text", ["a=candidate:", "a=end-of-candidates ", "m=audio 9 x 0\r\na=candidate: \r\n"])
def test_the_end_of_candidates_in_its_spellings(text: str) -> None:
    assert parse_fragment(text).candidates == ()


@pytest.mark.parametrize(
    "text",
    ["", "hello", "a=ice-ufrag:abcd", "a=candidate:1 1 udp", "a=candidate:1 1 udp x 192.0.2.1 y typ host"],
    ids=["empty", "text", "half of the credentials", "short candidate", "no numbers"],
)
def test_a_bad_fragment_is_refused(text: str) -> None:
    with pytest.raises(ClientError, match="fragment"):
        parse_fragment(text)


@given(st.text(alphabet="a=candidtepwufrgm:0123 .\r\n", max_size=200))
def test_any_fragment_is_passed_or_refused(text: str) -> None:
    try:
        parse_fragment(text)
    except ClientError as refused:
        assert refused.code == "bad_sdp_fragment"

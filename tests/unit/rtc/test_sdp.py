from __future__ import annotations

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media_server.errors import ClientError
from media_server.rtc.sdp import MOST_CANDIDATES, checked_offer, parse_fragment


@pytest.fixture(scope="module")
async def offer() -> str:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTrack(AudioStreamTrack())
    await pc.setLocalDescription(await pc.createOffer())
    sdp = pc.localDescription.sdp
    await pc.close()
    return sdp


def test_a_good_offer_passes(offer: str) -> None:
    assert checked_offer(offer).splitlines() == [x for x in offer.splitlines() if x != "a=end-of-candidates"]


def test_candidates_by_name_are_dropped(offer: str) -> None:
    named = "a=candidate:1 1 udp 2113937151 1c3d-aaaa.local 50000 typ host\r\n"
    assert ".local" not in checked_offer(offer + named)


def test_no_more_addresses_are_tried_than_is_usual(offer: str) -> None:
    many = "".join(f"a=candidate:{i} 1 udp 2113937151 192.0.2.{i} 50000 typ host\r\n" for i in range(150))
    assert checked_offer(offer + many).count("a=candidate:") == MOST_CANDIDATES


@given(data=st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes_is_passed_or_refused(offer: str, data: st.DataObject) -> None:
    """Damage a good offer anywhere: only `ClientError` may come of it."""
    lines = offer.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        i = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["drop", "cut", "text", "copy"])):
            case "drop":
                lines[i] = ""
            case "cut":
                lines[i] = lines[i][: data.draw(st.integers(0, len(lines[i])))]
            case "text":
                lines[i] = lines[i][:2] + data.draw(st.text(max_size=30))
            case _:
                lines.insert(i, lines[data.draw(st.integers(0, len(lines) - 1))])
    try:
        checked_offer("\r\n".join(lines))
    except ClientError as refused:
        assert refused.status == 400


@given(st.text(max_size=200))
def test_any_text_is_refused_as_an_offer(text: str) -> None:
    with pytest.raises(ClientError):
        checked_offer(text)


def test_a_fragment() -> None:
    f = parse_fragment(
        "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 RTP 0\r\na=mid:0\r\n"
        "a=candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host\r\n"
        "a=candidate:2 1 udp 2130706431 name.local 50000 typ host\r\na=end-of-candidates\r\n"
    )
    assert (f.username, f.password) == ("abcd", "0123456789012345678901")
    (candidate,) = f.candidates
    assert (candidate.ip, candidate.port) == ("192.0.2.1", 50000)


def test_a_fragment_with_nothing_but_a_hidden_address_is_a_good_one() -> None:
    f = parse_fragment("a=mid:0\r\na=candidate:1 1 udp 2130706431 1c3d.local 50000 typ host\r\n")
    assert f.candidates == ()


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

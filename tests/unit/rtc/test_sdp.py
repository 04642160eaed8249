from __future__ import annotations

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media_server.errors import ClientError
from media_server.rtc import Handset, Microphone, Peer, Speaker
from media_server.rtc.sdp import MOST_CANDIDATES, MOST_PORTS, Reach, checked_offer, parse_fragment

DAMAGE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


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
    many = "".join(f"a=candidate:{i} 1 udp 2113937151 198.51.100.{i} 50000 typ host\r\n" for i in range(150))
    assert checked_offer(offer + many).count("a=candidate:") == MOST_CANDIDATES
    ports = "".join(f"a=candidate:{i} 1 udp 2113937151 198.51.100.1 {5000 + i} typ host\r\n" for i in range(150))
    assert checked_offer(offer + ports).count(" 198.51.100.1 ") == MOST_PORTS


NOWHERE = [
    "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "169.254.1.1", "fe80::1", "fe80::1%eth0", "224.0.0.251",
    "ff02::1", "255.255.255.255", "0.0.0.0", "0.1.2.3", "::", "::ffff:224.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
    "localhost", "example.org", "1c3d.local", "127.1", "2130706433", "0x7f000001",
]  # fmt: skip


@pytest.mark.parametrize("address", NOWHERE)
def test_the_server_is_not_made_to_send_to_itself_or_to_everybody(offer: str, address: str) -> None:
    line = f"a=candidate:1 1 udp 2113937151 {address} 50000 typ host"
    assert line not in checked_offer(offer + line + "\r\n")
    assert parse_fragment(f"a=mid:0\r\n{line}\r\n").candidates == ()


@pytest.mark.parametrize("rest", ["udp 1 198.51.100.1 0", "udp 1 198.51.100.1 65536", "tcp 1 198.51.100.1 9"])
def test_ports_that_cannot_be_and_tcp_are_left_out(offer: str, rest: str) -> None:
    line = f"a=candidate:1 1 {rest} typ host"
    assert line not in checked_offer(offer + line + "\r\n")


def test_a_server_that_listens_on_this_machine_alone_reaches_its_callers(offer: str) -> None:
    for address in ("127.0.0.1", "::1"):
        line = f"a=candidate:1 1 udp 2113937151 {address} 50000 typ host"
        assert line in checked_offer(offer + line + "\r\n", Reach(loopback=True))
        assert parse_fragment(f"a=mid:0\r\n{line}\r\n", Reach(loopback=True)).candidates


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a=group:BUNDLE 0", "a=group:BUNDLE 9 0"),
        ("a=group:BUNDLE 0", "a=group:BUNDLE 0 9"),
        ("a=group:BUNDLE 0", "a=group:BUNDLE 0 0"),
        ("a=ice-ufrag:", "a=ice-ufrag:\u20ac"),
        ("a=ice-pwd:", "a=ice-pwd:" + "x" * 300),
        ("m=audio", "\r\n".join(["a=x"] * 2000) + "\r\nm=audio"),
        ("m=audio", "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:7\r\n" * 20 + "m=audio"),
    ],
    ids=["bundle begins elsewhere", "bundle ends elsewhere", "twice", "ufrag", "pwd", "lines", "sections"],
)  # fmt: skip
async def test_an_offer_that_cannot_be_is_refused_with_a_code(offer: str, before: str, after: str) -> None:
    assert before in offer
    peer = new_peer()
    with pytest.raises(ClientError) as refused:
        await peer.accept(offer.replace(before, after, 1))
    assert (refused.value.status, refused.value.code) == (400, "bad_sdp")
    await peer.close()


def new_peer() -> Peer:
    clock = lambda: 0.0  # noqa: E731
    return Peer([], Handset(clock, Microphone(clock), Speaker(clock), lambda _: None))


def damaged(lines: list[str], data: st.DataObject) -> str:
    for _ in range(data.draw(st.integers(1, 4))):
        i = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["drop", "cut", "text", "copy", "number", "swap"])):
            case "drop":
                lines[i] = ""
            case "cut":
                lines[i] = lines[i][: data.draw(st.integers(0, len(lines[i])))]
            case "text":
                lines[i] = lines[i][:2] + data.draw(st.text(max_size=30))
            case "number":
                words = lines[i].split(" ")
                words[data.draw(st.integers(0, len(words) - 1))] = str(data.draw(st.integers(-2, 2**33)))
                lines[i] = " ".join(words)
            case "swap":
                j = data.draw(st.integers(0, len(lines) - 1))
                lines[i], lines[j] = lines[j], lines[i]
            case _:
                lines.insert(i, lines[data.draw(st.integers(0, len(lines) - 1))])
    return "\r\n".join(lines)


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=DAMAGE)
async def test_no_offer_makes_a_peer_fail_or_stay(offer: str, data: st.DataObject) -> None:
    """Whatever is wrong with it, the caller is told so, and closing gives everything back."""
    peer = new_peer()
    try:
        await peer.accept(damaged(offer.splitlines(), data))
    except ClientError as refused:
        assert refused.status == 400
    finally:
        await peer.close()


@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=DAMAGE)
def test_whatever_comes_is_passed_or_refused(offer: str, data: st.DataObject) -> None:
    """Damage a good offer anywhere: only `ClientError` may come of it."""
    try:
        checked_offer(damaged(offer.splitlines(), data))
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

"""Which path of a call is used, and what a caller can make the server keep."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pylibsrtp
import pytest
from aioice import stun

from media_server.rtc import Edge
from media_server.rtc import link as module
from media_server.rtc.association import Association
from media_server.rtc.link import Callers, Link, Path
from media_server.rtc.sdp import Credentials
from media_server.rtc.wires import Address

THEIRS = Credentials("them", "t" * 22)


@dataclass(eq=False)
class Wire:
    protocol: str = "udp"
    sent: list[tuple[bytes, Address]] = field(default_factory=list)
    released: int = 0

    def send(self, data: bytes, address: Address) -> None:
        self.sent.append((data, address))

    def proved(self) -> None:
        pass

    def release(self) -> None:
        self.released += 1


class Clock:
    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def rtp(ssrc: int = 7) -> bytes:
    return struct.pack("!BBHII", 0x80, 111, 1, 0, ssrc) + b"voice"


def new(callers: Callers, authentic: bool = True) -> Link:
    return Link(callers, THEIRS, lambda _: authentic, list)


def paths(n: int) -> list[Path]:
    return [(Wire(), ("192.0.2.1", 5000 + i)) for i in range(n)]


async def test_before_data_the_first_check_and_then_nominations_decide(clock: Clock) -> None:
    link, (one, two, three) = new(Callers()), paths(3)
    ours = link.generation.local.username
    link.checked(one, ours, False)
    assert link.connected.is_set()
    link.checked(two, ours, False)
    assert link.selected == one
    link.checked(three, ours, True)
    assert link.selected == three
    await link.close()


async def test_data_decide_as_soon_as_there_are_any(clock: Clock) -> None:
    link, (udp, tcp) = new(Callers()), paths(2)
    ours = link.generation.local.username
    link.checked(udp, ours, True)
    link.checked(tcp, ours, False)
    link.take_dtls(tcp, b"\x16hello")
    assert link.selected == tcp
    assert await link._recv() == b"\x16hello"
    link.checked(udp, ours, True)  # requests arrive there, answers may not
    assert link.selected == tcp
    link.take_media(udp, rtp())
    assert link.selected == udp
    await link.close()


async def test_what_is_not_authentic_selects_nothing(clock: Clock) -> None:
    link, (one, two) = new(Callers(), authentic=False), paths(2)
    for path in (one, two):
        link.checked(path, link.generation.local.username, False)
    assert not link.take_media(two, rtp())
    assert link.selected == one
    await link.close()


async def test_a_path_that_is_silent_gives_way_to_one_with_a_check(clock: Clock) -> None:
    link, (one, two) = new(Callers()), paths(2)
    ours = link.generation.local.username
    link.checked(one, ours, True)
    link.take_dtls(one, b"\x16")
    clock.now_s += 5
    link.checked(two, ours, True)
    assert link.selected == one
    clock.now_s += 5
    link.checked(two, ours, False)
    assert link.selected == two
    await link.close()


async def test_a_path_that_breaks_is_followed_by_the_freshest(clock: Clock) -> None:
    link, (one, two, three) = new(Callers()), paths(3)
    for path in (one, three, two):
        clock.now_s += 1
        link.checked(path, link.generation.local.username, False)
    link.forget(one)
    assert link.selected == two
    link.forget(two)
    link.forget(three)
    link.send(b"lost")  # there is none
    assert link.selected is None
    await link.close()


async def test_an_unknown_address_is_asked_once_and_used_when_it_answers(clock: Clock) -> None:
    callers = Callers()
    link, (old, new_one) = new(callers), paths(2)
    link.checked(old, link.generation.local.username, True)
    clock.now_s += 1
    for _ in range(10):
        assert link.take_media(new_one, rtp())
    ((sent, address),) = new_one[0].sent  # type: ignore[attr-defined]
    check = stun.parse_message(sent)
    assert address == new_one[1]
    assert check.check_message_integrity(THEIRS.password.encode())
    assert link.selected == old
    answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, check.transaction_id)
    answer.add_message_integrity(b"somebody else")
    link.answered(new_one, stun.parse_message(bytes(answer)))
    assert new_one not in callers.by_path
    clock.now_s += 1
    link.take_media(new_one, rtp())
    check = stun.parse_message(new_one[0].sent[-1][0])  # type: ignore[attr-defined]
    answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, check.transaction_id)
    answer.add_message_integrity(THEIRS.password.encode())
    link.answered(new_one, stun.parse_message(bytes(answer)))
    link.take_media(new_one, rtp())
    assert link.selected == new_one
    assert not callers.by_check
    await link.close()


@pytest.mark.parametrize("kind", [20, 21, 23, 24, 25, 26, 47])
async def test_nothing_but_a_handshake_begins_one(clock: Clock, kind: int) -> None:
    link, (path,) = new(Callers()), paths(1)
    link.checked(path, link.generation.local.username, True)
    link.take_dtls(path, bytes([kind]) + b"left of another")
    link.take_dtls(path, b"\x16hello")
    link.take_dtls(path, bytes([kind]) + b"of this one")
    assert await link._recv() == b"\x16hello"
    assert await link._recv() == bytes([kind]) + b"of this one"
    await link.close()


async def test_packets_of_an_unknown_address_are_read_once_it_is_known(clock: Clock) -> None:
    callers = Callers()
    link, other, (old, here, there) = new(callers), new(callers), paths(3)
    elsewhere = (Wire(), ("198.51.100.9", 5000))
    link.checked(old, link.generation.local.username, True)
    clock.now_s += 1
    other.checked(here, other.generation.local.username, True)
    link.take_dtls(old, b"\x16 hello")
    for path in (there, elsewhere):
        callers.keep(path, b"\x16 again" + bytes(110))
    (asked,) = [wire for path in (there, elsewhere) for wire, _ in path[0].sent]  # type: ignore[attr-defined]
    assert stun.parse_message(asked).attributes["USERNAME"].endswith(link.generation.local.username)
    callers.keep((here[0], ("192.0.2.1", 6000)), b"\x16" + bytes(len(asked) - 2))
    assert not here[0].sent, "no more is sent than came"  # type: ignore[attr-defined]
    link.checked(there, link.generation.local.username, False)
    assert link.selected == there
    assert [await link._recv(), await link._recv()][1].startswith(b"\x16 again")
    clock.now_s += module.STRAYS_S
    other.checked(elsewhere, other.generation.local.username, False)
    assert elsewhere not in callers.strays
    assert not other._has_data, "it had waited too long"
    for number in range(3 * module.MAX_STRAYS):
        for _ in range(3 * module.MAX_STRAYS_OF_PATH):
            callers.keep((here[0], ("203.0.113.5", number)), b"\x16")
    assert len(callers.strays) == module.MAX_STRAYS
    assert {len(kept) for _, kept in callers.strays.values()} == {module.MAX_STRAYS_OF_PATH}
    await link.close()
    await other.close()
    assert not callers.by_host


async def test_the_handshake_goes_on_over_another_path_at_once(clock: Clock) -> None:
    link, (one, two) = new(Callers()), paths(2)
    ours = link.generation.local.username
    link.checked(one, ours, True)
    for hello in (b"\x16 first", b"\x16 second"):
        link.take_dtls(one, hello)
        await link._recv()
        await link._send(b"\x16 answer to" + hello[1:])
    await link._send(b"\x16 and more")
    await link._send(b"\x17 data")
    link.checked(two, ours, False)
    link.take_dtls(two, b"\x16 second")
    assert [data for data, _ in two[0].sent] == [b"\x16 answer to second", b"\x16 and more"]  # type: ignore[attr-defined]
    await link.close()


async def test_a_check_that_nobody_answers_is_given_up(clock: Clock) -> None:
    callers = Callers()
    link, (old, other) = new(callers), paths(2)
    link.checked(old, link.generation.local.username, True)
    clock.now_s += 1
    link.take_media(other, rtp())
    assert callers.by_check
    link.sweep(clock.now_s + 6)
    assert not callers.by_check
    await link.close()


async def test_the_old_credentials_hold_until_a_path_is_nominated_under_the_new(clock: Clock) -> None:
    callers = Callers()
    link, (one, two) = new(callers), paths(2)
    old = link.generation.local
    link.checked(one, old.username, True)
    await link.restart(Credentials("them2", "u" * 22))
    newest = link.generation.local
    assert newest != old
    assert set(callers.by_username) == {old.username, newest.username}
    link.checked(two, newest.username, False)
    assert link.password(old.username) == old.password
    link.checked(two, newest.username, True)
    assert set(callers.by_username) == {newest.username}
    await link.close()
    assert callers == Callers()


async def test_a_caller_cannot_make_the_server_keep_ever_more(clock: Clock) -> None:
    callers = Callers()
    link, many = new(callers), paths(100)
    first = many[0]
    for i, path in enumerate(many):
        clock.now_s += 1
        link.checked(path, link.generation.local.username, False)
        link.take_media(first, rtp(ssrc=i))
        link.take_dtls(first, b"\x16")
        await link.restart(Credentials(f"them{i}", "u" * 22))
    for _ in range(1000):
        link.take_dtls(first, b"\x16")
    assert len(callers.by_path) == module.MAX_PATHS
    assert link.selected == first
    assert len(callers.by_ssrc) <= module.MAX_SSRCS
    assert len(callers.by_username) <= module.MAX_GENERATIONS
    assert link._inbox._packets.qsize() <= module.MAX_QUEUED
    assert sum(path[0].released for path in many) == 100 - module.MAX_PATHS  # type: ignore[attr-defined]
    await link.close()
    assert callers == Callers()


async def test_an_ssrc_that_several_callers_name_is_every_ones(clock: Clock) -> None:
    callers = Callers()
    links = [new(callers) for _ in range(module.MAX_SHARING + 2)]
    for i, link in enumerate(links):
        path = (Wire(), ("192.0.2.1", i))
        link.checked(path, link.generation.local.username, True)
        link.take_media(path, rtp(ssrc=9))
    (sharing,) = callers.by_ssrc.values()
    assert sharing == links[: module.MAX_SHARING]
    for link in links:
        await link.close()
    assert callers == Callers()


async def test_an_address_that_goes_to_another_caller_is_his(clock: Clock) -> None:
    callers = Callers()
    gone, come, (path,) = new(callers), new(callers), paths(1)
    gone.checked(path, gone.generation.local.username, True)
    come.checked(path, come.generation.local.username, True)
    assert gone.selected is None
    assert callers.by_path == {path: come}
    await gone.close()
    assert callers.by_path == {path: come}
    await come.close()


@pytest.mark.parametrize("silent_s", [29.0, 31.0])
async def test_a_caller_without_a_packet_is_lost(clock: Clock, silent_s: float) -> None:
    link, (path,) = new(Callers()), paths(1)
    link.checked(path, link.generation.local.username, True)
    link.sweep(clock.now_s + silent_s)
    assert link.lost is (silent_s > module.LOST_S)
    if link.lost:
        with pytest.raises(ConnectionError):
            await link._recv()
        with pytest.raises(ConnectionError):
            await link._recv()
        assert not link.take_media(path, rtp())
        link.take_dtls(path, b"\x16")
    await link.close()


def association(on_packet: Callable[[bytes], None], on_end: Callable[[bool], None]) -> tuple[Any, pylibsrtp.Session]:
    """A connection after its handshake, and what encrypts packets for it."""
    made: Any = Association(Edge().certificate, lambda take: new(Callers()), on_packet, on_end)
    ends = [
        pylibsrtp.Session(pylibsrtp.Policy(key=bytes(30), ssrc_type=kind))
        for kind in (pylibsrtp.Policy.SSRC_ANY_OUTBOUND, pylibsrtp.Policy.SSRC_ANY_INBOUND)
    ]

    class Dtls:
        _rx_srtp = ends[1]

    made._dtls = Dtls
    return made, ends[0]


async def test_a_packet_that_trips_a_call_ends_that_call_alone(caplog: pytest.LogCaptureFixture) -> None:
    ended: list[bool] = []

    def trip(_: bytes) -> None:
        raise AssertionError("a defect")

    tripping, theirs = association(trip, ended.append)
    assert not tripping.take_media(rtp())
    assert not tripping.take_media(bytes([0x80]) * 2000)
    assert not ended
    assert tripping.take_media(theirs.protect(rtp()))
    assert ended == [False]
    assert "its connection ends" in caplog.text


async def test_a_caller_with_ever_more_streams_is_heard_and_costs_no_more() -> None:
    taken: list[bytes] = []
    connection, theirs = association(taken.append, lambda _: None)

    def take(ssrc: int, number: int) -> bool:
        packet = struct.pack("!BBHII", 128, 111, number, 0, ssrc) + b"sound"
        return bool(connection.take_media(theirs.protect(packet)))

    for ssrc in range(1, 301):
        assert take(ssrc, 1)
        assert take(7, ssrc + 10), "the one that goes on is kept"
    assert len(taken) == 600
    assert len(connection._ssrcs) == 64
    with pytest.raises(pylibsrtp.Error):
        connection._dtls._rx_srtp.remove_stream(1)  # it is gone
    connection._dtls._rx_srtp.remove_stream(7)

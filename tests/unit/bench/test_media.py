"""The media benchmark's networks, clicks and tables."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bench.media import drawing, table
from bench.media_network import NETWORKS, Fates, Network
from bench.media_sounds import CLICK_EVERY, Kept, clicks_in, delays_s, tone_of, tone_packets
from media_server.rtc.agreed import Codec
from media_server.rtc.decoding import decoder_of

PACKETS = 20_000


@pytest.mark.parametrize("network", [each for each in NETWORKS if each.loss], ids=lambda each: each.name)
def test_as_many_packets_are_lost_as_the_network_is_said_to_lose(network: Network) -> None:
    fates = Fates(network, 7)
    lost = [fates.delay_s(i * 0.02) is None for i in range(PACKETS)]
    assert sum(lost) / PACKETS == pytest.approx(network.loss, rel=0.25)
    runs = [len(list(group)) for is_lost, group in itertools.groupby(lost) if is_lost]
    assert sum(runs) / len(runs) == pytest.approx(max(network.burst, 1 / (1 - network.loss)), rel=0.15)
    again = Fates(network, 7)
    assert lost == [again.delay_s(i * 0.02) is None for i in range(PACKETS)]


def test_jitter_has_its_mean_and_what_stalls_comes_at_once() -> None:
    jitter = Fates(Network("", jitter_s=0.06), 1)
    delays = [jitter.delay_s(i * 0.02) or 0.0 for i in range(PACKETS)]
    assert np.mean(delays) == pytest.approx(0.06, rel=0.05)
    assert max(delays) <= 0.12
    stall = Fates(Network("", stall_at_s=4.0, stall_s=1.5), 1)
    arrivals = [i * 0.02 + (stall.delay_s(i * 0.02) or 0.0) for i in range(400)]
    assert [round(a, 6) for a in arrivals[200:275]] == [5.5] * 75
    assert arrivals[199] == pytest.approx(3.98)
    assert arrivals[275] == pytest.approx(5.5)


def test_clicks_are_found_again_with_the_delay_that_each_had() -> None:
    decoder = decoder_of(Codec(111, "opus", 48_000, 2))
    packets = tone_packets() * 2
    pieces = [decoder.decode(packet) for packet in packets]
    sent_s = [100 + i * 0.02 for i in range(len(packets))]
    late_s = [0.08 + 0.001 * (i % 7) for i in range(len(packets))]
    handed_on_s = [sent + late for sent, late in zip(sent_s, late_s, strict=True)]
    found = clicks_in(Kept(np.concatenate(pieces), [len(piece) for piece in pieces], handed_on_s))
    assert [tone for _, tone in found] == [tone_of(i) for i in range(0, len(packets), CLICK_EVERY)]
    delays = [delay_s for _, delay_s in delays_s(found, sent_s)]
    assert delays == pytest.approx(late_s[::CLICK_EVERY])


def test_the_table_has_medians_and_ratios_and_the_picture_has_bars() -> None:
    name = "5 % lost: sound gone, %"
    results = {name: {"aiortc": [23.0, 20.0, 26.0], "ours": [1.0, 2.0, 1.5]}, "calls": {"ours": [200.0]}}
    assert f"| {name} | 23 | 1.5 | 0.07 |" in table(results, ["aiortc", "ours"])
    assert "| calls |  | 200 |  |" in table(results, ["aiortc", "ours"])
    assert drawing(results).count("<rect") == 1 + 2 + 2

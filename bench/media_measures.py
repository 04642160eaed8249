"""What the media benchmark measures: each case runs one server of one kind and returns its figures by name."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import aiohttp
import numpy as np
from aiortc import RTCCertificate

from bench.media_callers import Arrival, LightCaller, sending
from bench.media_network import NETWORKS, Network
from bench.media_servers import Child, Figures, running
from bench.media_sounds import (
    PACKET_S,
    SENTENCES,
    clicks_in,
    delays_s,
    quiet_packets,
    sentence_packets,
    speech_packets,
    tone_packets,
)
from bench.server import measured_server
from bench.wer import WordErrors
from media_server.audio import MODEL_RATE_HZ
from media_server.engines.whisper import WhisperEngine
from media_server.priority import BEHIND
from media_server.rtc.agreed import Codec
from media_server.rtc.decoding import decoder_of

__all__ = ["SECTIONS", "Case", "Plan", "recognise_without_end"]

Case = Callable[[str], Awaitable[dict[str, float]]]
"""Takes the kind of server."""

OPUS = Codec(111, "opus", 48_000, 2)
STARTER = Path(__file__).parents[1] / "models" / "starter" / "stt"
ENGINES_S = 3.0
"""For the recognisers to be loaded."""
TOGETHER = 5
"""Calls that are placed at once."""
PRIORITY = -10
"""The niceness that deploy/media-server.service gives the server."""
PACES = [(False, 0), (True, 0), *([(True, PRIORITY)] if os.geteuid() == 0 else [])]
"""Whether engines are busy, and the server's niceness, which root alone may lower."""
LISTENERS, CLICKERS = 2, 1
"""Callers of each network: those who speak with error correction, and those whose clicks are timed."""
GROUP = 5
"""Networks that are tried at once."""
ON_TIME_S = 0.02
BEGINNINGS = 12
PLAIN_MOST = 50
"""Calls at once that aiortc is not asked for more of: it starves before."""
AUDIBLE = 300
"""Amplitude above which a sample is heard: a hundredth of the loudest."""
AFTER_STALL_S = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    seconds: float = 8.0
    settled_s: float = 2.0
    """After the calls are placed, before anything is measured."""
    at_once: tuple[int, ...] = (1, 10, 50)
    many: int = 200
    calls: int = 500
    """One after the other."""
    seed: int = 1
    profile: str = ""
    certificate: RTCCertificate = field(default_factory=RTCCertificate.generateCertificate)


async def _place(
    plan: Plan, child: Child, packets: Sequence[bytes], count: int, *, timed: bool = False
) -> list[tuple[LightCaller, str]]:
    """So many calls, each with its name."""
    placed = [(LightCaller(plan.certificate, packets, timed=timed), child.new_call()) for _ in range(count)]
    for start in range(0, count, TOGETHER):
        part = placed[start : start + TOGETHER]
        await asyncio.gather(*(caller.connect(partial(child.answer, call)) for caller, call in part))
    return placed


@contextlib.asynccontextmanager
async def _calls(
    plan: Plan, child: Child, packets: Sequence[bytes], count: int, *, timed: bool = False
) -> AsyncIterator[list[LightCaller]]:
    """So many calls that send, settled."""
    placed = await _place(plan, child, packets, count, timed=timed)
    callers = [caller for caller, _ in placed]
    try:
        async with sending(callers):
            await asyncio.sleep(plan.settled_s)
            yield callers
    finally:
        for caller in callers:
            await caller.close()


async def _use(child: Child, seconds: float) -> tuple[Figures, Figures, float]:
    """Figures before and after a time, and how long that was."""
    before, began_s = await child.figures(), time.monotonic()
    await asyncio.sleep(seconds)
    after = await child.figures()
    return before, after, time.monotonic() - began_s


async def cpu(plan: Plan, speaks: bool, count: int, kind: str) -> dict[str, float]:
    """What a call costs: listening alone, or listening while the agent speaks."""
    name = f"{'speaking' if speaks else 'listening'}, {_so_many(count)}"
    async with (
        running(kind, speaks=speaks, profile=plan.profile) as child,
        _calls(plan, child, speech_packets(), count) as callers,
    ):
        sounds = sum(caller.received for caller in callers)
        before, after, took_s = await _use(child, plan.seconds)
        sounds = sum(caller.received for caller in callers) - sounds
    per_call = 1000 / took_s / count
    used = (after.cpu_s - before.cpu_s) * per_call
    encoding = (after.encoding_s - before.encoding_s) * per_call
    found = {f"{name}: CPU, ms per call-second": used}
    if speaks:
        found[f"{name}: the same without the encoding of speech"] = used - encoding if encoding else float("nan")
        found[f"{name}: share of the packets sent"] = sounds * PACKET_S / took_s / count
    found[f"{name}: of it in the kernel"] = (after.system_s - before.system_s) * per_call
    heard = (after.heard_s - before.heard_s) / took_s / count
    found[f"{name}: share of the sound heard"] = heard
    # one that starves takes less and does less
    found[f"{name}: CPU, ms per second of sound heard"] = used / heard if heard else float("nan")
    return found


async def product(plan: Plan, count: int, kind: str) -> dict[str, float]:
    """All that a call costs in which nobody speaks: for us the whole product, with voice activity and the rest."""
    name = f"silent, {_so_many(count)}"
    if kind != "ours":
        async with running(kind) as child, _calls(plan, child, quiet_packets(), count):
            before, after, took_s = await _use(child, plan.seconds)
        return {f"{name}: CPU, ms per call-second": (after.cpu_s - before.cpu_s) * 1000 / took_s / count}
    callers = [LightCaller(plan.certificate, quiet_packets()) for _ in range(count)]
    async with measured_server("--max-calls", str(count)) as server, aiohttp.ClientSession() as http:

        async def answer(offer: str) -> str:
            body = {"type": "offer", "agent": "assistant"}
            async with http.post(f"{server.url}/v1/sessions", json=body | {"sdp": offer}) as response:
                response.raise_for_status()
                return str((await response.json())["sdp"])

        for start in range(0, count, TOGETHER):
            await asyncio.gather(*(caller.connect(answer) for caller in callers[start : start + TOGETHER]))
        async with sending(callers):
            # greetings are over by then
            await asyncio.sleep(4 * plan.settled_s)
            used, began_s = server.cpu_s(), time.monotonic()
            await asyncio.sleep(plan.seconds)
            per_call = 1000 / (time.monotonic() - began_s) / count
            spent = {part: (now_s - used[part]) * per_call for part, now_s in server.cpu_s().items()}
        for caller in callers:
            await caller.close()
    return {
        f"{name}: CPU, ms per call-second": sum(spent.values()),
        f"{name}: of it the worker": spent["worker"],
    }


async def network(plan: Plan, networks: Sequence[Network], kind: str) -> dict[str, float]:
    """How late sound is handed on, and how much of it is gone."""
    found: dict[str, float] = {}
    async with running(kind, keeps=True) as child:
        callers: dict[str, list[tuple[LightCaller, str]]] = {each.name: [] for each in networks}
        for i, each in enumerate(networks):
            for n in range(CLICKERS + LISTENERS):
                packets = tone_packets() if n < CLICKERS else speech_packets(corrects=True)
                caller, call = LightCaller(plan.certificate, packets, timed=True), child.new_call()
                await caller.connect(partial(child.answer, call), each, plan.seed * 1000 + i * 10 + n)
                callers[each.name].append((caller, call))
        everybody = [caller for placed in callers.values() for caller, _ in placed]
        async with sending(everybody):
            for caller in everybody:
                assert caller.relay
                caller.relay.begin()
            began_s = time.monotonic()
            await asyncio.sleep(plan.settled_s)
            before = await child.do("heard")
            await asyncio.sleep(2 * plan.seconds)
            after = await child.do("heard")
        await asyncio.sleep(0.5)
        with tempfile.TemporaryDirectory() as folder:
            for each in networks:
                placed = callers[each.name]
                delays: list[tuple[float, float]] = []
                for caller, call in placed[:CLICKERS]:
                    delays += delays_s(clicks_in(await child.kept(call, Path(folder))), caller.sent_s)
                if each.stall_s:
                    end_s = began_s + each.stall_at_s + each.stall_s + AFTER_STALL_S
                    delays = [(sent_s, delay_s) for sent_s, delay_s in delays if sent_s > end_s]
                when = f"{each.name}, {AFTER_STALL_S:g} s after it" if each.stall_s else each.name
                found |= _spread(f"{when}: delay, ms", [1000 * delay_s for sent_s, delay_s in delays])
                took_s = after["at_s"] - before["at_s"]
                heard = [after["heard_s"][call] - before["heard_s"][call] for _, call in placed[CLICKERS:]]
                found[f"{each.name}: sound gone, %"] = 100 * (1 - statistics.mean(heard) / took_s)
        for caller in everybody:
            await caller.close()
    return found


async def sentences(plan: Plan, each: Network, kind: str) -> dict[str, float]:
    """What a recogniser understands of callers with error correction."""
    heard: dict[str, str] = {}
    async with running(kind, keeps=True) as child:
        callers: dict[str, tuple[LightCaller, str]] = {}
        for i, text in enumerate(SENTENCES):
            caller, call = LightCaller(plan.certificate, sentence_packets(text)), child.new_call()
            await caller.connect(partial(child.answer, call), each, plan.seed * 1000 + i)
            callers[text] = caller, call
        for caller, _ in callers.values():
            assert caller.relay
            caller.relay.begin()
        async with sending([caller for caller, _ in callers.values()]):
            # the recordings are repeated: each is given as long as its first saying takes
            await asyncio.sleep(max(len(sentence_packets(text)) for text in SENTENCES) * PACKET_S)
        await asyncio.sleep(0.5)
        engine = WhisperEngine.load(STARTER)
        with tempfile.TemporaryDirectory() as folder:
            for text, (caller, call) in callers.items():
                kept = await child.kept(call, Path(folder))
                until = round((len(sentence_packets(text)) - 25) * PACKET_S * MODEL_RATE_HZ)
                heard[text] = engine.transcribe([kept.samples[:until]])[0].text
                await caller.close()
    errors = WordErrors("en")
    right = sum(not errors.add(text, heard[text]) for text in SENTENCES)
    return {
        f"{each.name}: sentences right, of {len(SENTENCES)}": right,
        f"{each.name}: words wrong, %": 100 * errors.rate,
    }


async def pace(plan: Plan, is_busy: bool, niceness: int, kind: str) -> dict[str, float]:
    """How evenly the agent's packets leave, in 10 calls, by the kernel's clock."""
    name = "packets' spacing" + (", engines busy" if is_busy else "") + (f", at nice {niceness}" if niceness else "")
    async with (
        _busy_engines(2, 0 if niceness else BEHIND) if is_busy else contextlib.nullcontext(),
        running(kind, speaks=True, niceness=niceness) as child,
        _calls(plan, child, quiet_packets(), 10, timed=True) as callers,
    ):
        for caller in callers:
            caller.arrivals.clear()
        await asyncio.sleep(2 * plan.seconds)
        gaps = [gap_s for caller in callers for gap_s in _gaps_s(caller.arrivals)]
    off = np.abs(gaps) * 1000
    return {
        f"{name}: median off 20 ms, ms": float(np.median(off)),
        f"{name}: p99 off 20 ms, ms": float(np.percentile(off, 99)),
        f"{name}: worst, ms": float(off.max()),
    }


async def beginning(plan: Plan, kind: str) -> dict[str, float]:
    """From giving the server an offer to the end of the handshake, and to the first packet of the agent's voice."""
    connected, sounded = [], []
    async with running(kind, speaks=True) as child:
        for i in range(BEGINNINGS + 1):
            caller, call = LightCaller(plan.certificate, quiet_packets()), child.new_call()
            await caller.connect(partial(child.answer, call))
            await asyncio.wait_for(caller.sounded.wait(), 10)
            if i:  # the first one imports
                connected.append(1000 * caller.connected_s)
                sounded.append(1000 * caller.first_sound_s)
            await child.do("hang up", call=call)
            await caller.close()
    return {
        **_spread("offer to connected, ms", connected),
        **_spread("offer to the first packet of the voice, ms", sounded),
    }


async def interruption(plan: Plan, kind: str) -> dict[str, float]:
    """From an interruption to the last sample that is heard, if each packet is played when it comes."""
    silent = []
    for _ in range(3):
        async with running(kind, speaks=True) as child, _calls(plan, child, quiet_packets(), 5, timed=True) as callers:
            at_s = (await child.do("interrupt"))["at_s"]
            await asyncio.sleep(1.0)
            silent += [1000 * (_last_sound_s(caller) - at_s) for caller in callers]
    return _spread("interruption to silence, ms", silent)


async def drift(plan: Plan, kind: str) -> dict[str, float]:
    """How far the agent's packets and their RTP time run apart."""
    slopes = []
    async with (
        running(kind, speaks=True) as child,
        _calls(plan, child, quiet_packets(), 3, timed=True) as callers,
    ):
        for caller in callers:
            caller.arrivals.clear()
        await asyncio.sleep(max(30.0, 4 * plan.seconds))
        for caller in callers:
            late = np.array(_lateness_s(caller.arrivals))
            at = np.array([each.at_s for each in caller.arrivals])
            # of every second the earliest packet: the others say how busy the machine was
            seconds = (at - at[0]).astype(int)
            seconds_s = [float(at[seconds == s].mean()) for s in range(seconds[-1])]
            least_s = [float(late[seconds == s].min()) for s in range(seconds[-1])]
            slopes.append(60_000 * abs(statistics.linear_regression(seconds_s, least_s).slope))
    return {"drift, ms a minute": max(slopes)}


async def many(plan: Plan, kind: str) -> dict[str, float]:
    """A worker full of calls in which the agent speaks."""
    count = plan.many if kind == "ours" else min(plan.many, PLAIN_MOST)
    fewest = min(10, count // 2)
    more = count - fewest
    async with (
        running(kind, speaks=True, profile=plan.profile) as child,
        _calls(plan, child, quiet_packets(), fewest),
    ):
        few = await child.figures()
        async with _calls(plan, child, quiet_packets(), more, timed=True) as callers:
            for caller in callers:
                caller.arrivals.clear()
            before, after, took_s = await _use(child, plan.seconds)
            late = np.array([late_s for caller in callers for late_s in _lateness_s(caller.arrivals)]) * 1000
            sent = sum(len(caller.arrivals) for caller in callers)
    return {
        "calls at once": count,
        "many calls: cores used": (after.cpu_s - before.cpu_s) / took_s,
        "many calls: share of the packets sent": sent * PACKET_S / took_s / more,
        "many calls: a frame's lateness, median, ms": float(np.median(late)),
        "many calls: p99, ms": float(np.percentile(late, 99)),
        "many calls: worst, ms": float(late.max()),
        "many calls: later than 20 ms, %": 100 * float((late > 1000 * ON_TIME_S).mean()),
        "descriptors per call": (after.descriptors - few.descriptors) / more,
        "threads per call": (after.threads - few.threads) / more,
        "memory per call, MB": (after.memory_mb - few.memory_mb) / more,
    }


async def series(plan: Plan, kind: str) -> dict[str, float]:
    """Calls one after the other: what stays of them."""
    settled = min(200, plan.calls // 2)
    memory: list[float] = []
    async with running(kind, speaks=True) as child:
        for i in range(plan.calls):
            if i == settled:
                memory.append((await child.figures()).memory_mb)
            caller, call = LightCaller(plan.certificate, speech_packets()), child.new_call()
            await caller.connect(partial(child.answer, call))
            for _ in range(5):
                caller.send_next()
            await asyncio.wait_for(caller.sounded.wait(), 10)
            await child.do("hang up", call=call)
            await caller.close()
        after = await child.figures()
    return {
        "calls one after the other": plan.calls,
        f"memory after {settled} of them, MB": memory[0],
        "memory more after all, MB": after.memory_mb - memory[0],
        "descriptors after all": after.descriptors,
        "threads after all": after.threads,
    }


def _groups(networks: Sequence[Network]) -> list[Sequence[Network]]:
    return [networks[start : start + GROUP] for start in range(0, len(networks), GROUP)]


SECTIONS: dict[str, Callable[[Plan], list[Case]]] = {
    "cpu": lambda plan: [partial(cpu, plan, speaks, n) for n in plan.at_once for speaks in (False, True)],
    "product": lambda plan: [partial(product, plan, n) for n in plan.at_once if n > 1],
    "network": lambda plan: [partial(network, plan, group) for group in _groups(NETWORKS)],
    "sentences": lambda plan: [partial(sentences, plan, each) for each in (NETWORKS[0], *NETWORKS[2:4])],
    "pace": lambda plan: [partial(pace, plan, *each) for each in PACES],
    "beginning": lambda plan: [partial(beginning, plan)],
    "interruption": lambda plan: [partial(interruption, plan)],
    "drift": lambda plan: [partial(drift, plan)],
    "many": lambda plan: [partial(many, plan)],
    "series": lambda plan: [partial(series, plan)],
}
"""Each of the benchmark's sections, as cases."""


@contextlib.asynccontextmanager
async def _busy_engines(count: int, niceness: int) -> AsyncIterator[None]:
    """So many recognisers that never rest, beside the server, at the niceness that its engines have."""
    code = "from bench.media_measures import recognise_without_end as work; work()"
    engines = [await asyncio.create_subprocess_exec(sys.executable, "-c", code) for _ in range(count)]
    try:
        for engine in engines:
            os.setpriority(os.PRIO_PROCESS, engine.pid, niceness)
        await asyncio.sleep(ENGINES_S)
        yield
    finally:
        for engine in engines:
            engine.kill()
            await engine.wait()


def recognise_without_end() -> None:
    """Transcribe the same sentence again and again."""
    engine = WhisperEngine.load(STARTER, threads=1)
    sound = np.random.default_rng(1).normal(size=MODEL_RATE_HZ * 4) * 1000
    while True:
        engine.transcribe([sound.astype(np.int16)])


def _spread(name: str, values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {f"{name}: median": float("nan"), f"{name}: p95": float("nan")}
    return {f"{name}: median": statistics.median(values), f"{name}: p95": float(np.percentile(values, 95))}


def _last_sound_s(caller: LightCaller) -> float:
    """When the last sample that is heard of what came from the server is played."""
    decoder, last_s = decoder_of(OPUS), 0.0
    for arrival, payload in zip(caller.arrivals, caller.payloads(), strict=True):
        loud = np.nonzero(np.abs(decoder.decode(payload).astype(np.int32)) > AUDIBLE)[0]
        if len(loud):
            last_s = arrival.at_s + float(loud[-1]) / MODEL_RATE_HZ
    return last_s


def _elapsed_s(one: Arrival, other: Arrival) -> float:
    """RTP time from one packet to another, in seconds."""
    return (other.time - one.time & 0xFFFFFFFF) / 48_000


def _gaps_s(arrivals: Sequence[Arrival]) -> list[float]:
    """How much longer than it should be the time between each two packets of speech that follow each other was."""
    pairs = itertools.pairwise(arrivals)
    return [b.at_s - a.at_s - _elapsed_s(a, b) for a, b in pairs if b.number == (a.number + 1) & 0xFFFF]


def _lateness_s(arrivals: Sequence[Arrival]) -> list[float]:
    """How much later than the most punctual packet each came."""
    if not arrivals:
        return []
    late = [each.at_s - _elapsed_s(arrivals[0], each) for each in arrivals]
    least = min(late)
    return [each - least for each in late]


def _so_many(calls: int) -> str:
    return "1 call" if calls == 1 else f"{calls} calls"

"""How callers are treated: simulated ones who hesitate, say "okay", cough, echo, answer early, and interrupt.

    python -m bench.conversation [--seeds 3] [--only echo early] [--noise-db 10] [--pack starter]

Every caller is a real call, in real time, with a seed for what it says and when. Printed for each kind: callers, those
who were treated wrongly and how, and the delay in the middle: from the caller's word to the last packet of the agent's
voice where he interrupts, else from his last sound to the agent's first.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import math
import re
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.server import SENTENCES, measured_server
from media_server.audio import CALL_RATE_HZ, Samples, read_wav
from media_server.caller import Caller

LONG = "I can do sums, switch lights, set timers, take a pizza order, and connect you to sales, support or billing."
QUESTION = "We have many good things on our menu. Do you want cheese on your pizza?"
WHOLE = ("what is seven plus five", "what is nine times three", "turn on the light in the kitchen", "what is my name")
INTERRUPTING = ("what is nine times three", "goodbye", "can you repeat that", "what can you do")
BACKCHANNELS = ("okay", "yes")
LOUD = 300
COMFORT_BYTES = 8
"""A packet with more than this is no packet of silence."""
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_Random = np.random.Generator


@dataclass(frozen=True)
class Outcome:
    """How one caller was treated; `wrong` is empty where it was right."""

    wrong: str = ""
    delay_ms: float | None = None


def sentence(text: str) -> Samples:
    """A recording without the silence around it."""
    samples = read_wav(SENTENCES / f"{text.replace(' ', '-')}.wav", CALL_RATE_HZ)
    loud = np.nonzero(np.abs(samples.astype(np.int32)) > LOUD)[0]
    return samples[loud[0] : loud[-1]]


def words_of(text: str) -> set[str]:
    """The words of a text or of any recogniser's transcript: small letters, figures as words."""
    spelled = re.sub(r"\d", lambda digit: f" {DIGITS[int(digit[0])]} ", text.lower())
    return set(re.findall(r"[a-z']+", spelled))


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * CALL_RATE_HZ), np.int16)


def cough(r: _Random) -> Samples:
    shape = np.exp(-np.linspace(0, 5, 14_400)) * (1 + 0.5 * np.sin(np.arange(14_400) * np.pi / 160))
    return np.asarray((r.normal(size=14_400) * shape * 7000).clip(-32768, 32767), np.int16)


class Simulated:
    """A caller in a call, with noise behind all that it says.

    Args:
        noise_db: how much louder its words are than the noise.
    """

    def __init__(self, caller: Caller, r: _Random, noise_db: float) -> None:
        self.caller, self.r = caller, r
        self.packets: list[float] = []
        """When packets of the agent's voice came."""
        receiver: Any = caller.pc.getReceivers()[0]
        handle = receiver._handle_rtp_packet

        async def note(packet: Any, arrival_time_ms: int) -> None:
            if len(packet.payload) > COMFORT_BYTES:
                self.packets.append(asyncio.get_running_loop().time())
            await handle(packet, arrival_time_ms)

        receiver._handle_rtp_packet = note
        self._noise = 3000 * 10 ** (-noise_db / 20)

    async def say(self, samples: Samples) -> None:
        """Returns with the last sound."""
        noisy = samples + self.r.normal(size=len(samples)) * self._noise
        await self.caller.speak(np.asarray(noisy.clip(-32768, 32767), np.int16)).finished.wait()

    def finals(self, since: int = 0) -> list[str]:
        return [e["text"] for e in self.caller.events[since:] if e["type"] == "user.transcript" and e["final"]]

    async def answered(self, text: str) -> Outcome:
        """After a turn: whether it was one turn, with all of its words."""
        try:
            metrics = await self.caller.wait_for("turn.metrics", timeout_s=8)
        except TimeoutError:
            return Outcome("missed end")
        await asyncio.sleep(1.2)
        heard = words_of(" ".join(self.finals()))
        if len(self.finals()) > 1:
            return Outcome("false cut-off", metrics["response_ms"])
        lost = words_of(text) - heard
        return Outcome(f"words lost: {' '.join(sorted(lost))}" if lost else "", metrics["response_ms"])

    async def over(self, text: str, word: str) -> int:
        """Have the agent say the text, up to this word; the number of events by then."""
        self.caller.send(type="agent.say", text=text)
        await self.caller.wait_for("agent.word", lambda e: e["text"] == word)
        return len(self.caller.events)

    async def undisturbed(self) -> Outcome:
        """Whether the agent says all it has to say."""
        stopped = await self.caller.wait_for("agent.speech_stopped", timeout_s=30)
        return Outcome("" if stopped["reason"] == "completed" else f"false interruption: {self.finals()}")


async def whole(it: Simulated) -> Outcome:
    text = str(it.r.choice(WHOLE))
    await it.say(sentence(text))
    return await it.answered(text)


async def hesitation(it: Simulated) -> Outcome:
    pause = silence(it.r.uniform(0.4, 1.1))
    await it.say(np.concatenate([sentence("i would like to um"), pause, sentence("book an appointment")]))
    return await it.answered("would like book an appointment")


async def number(it: Simulated) -> Outcome:
    pause = silence(it.r.uniform(0.4, 1.0))
    await it.say(np.concatenate([sentence("where is my order four two seven"), pause, sentence("nine one")]))
    return await it.answered("where is my order four two seven nine one")


async def backchannel(it: Simulated) -> Outcome:
    await it.over(LONG, str(it.r.choice(["sums,", "lights,", "timers,", "take"])))
    await it.say(sentence(str(it.r.choice(BACKCHANNELS))))
    return await it.undisturbed()


async def coughing(it: Simulated) -> Outcome:
    await it.over(LONG, str(it.r.choice(["sums,", "lights,", "timers,", "take"])))
    await it.say(cough(it.r))
    return await it.undisturbed()


async def interruption(it: Simulated) -> Outcome:
    await it.over(LONG, str(it.r.choice(["sums,", "lights,", "timers,"])))
    began_s = asyncio.get_running_loop().time()
    since = len(it.caller.events)
    await it.say(sentence(str(it.r.choice(INTERRUPTING))))
    try:
        stopped = await it.caller.wait_for("agent.speech_stopped", timeout_s=8)
    except TimeoutError:
        return Outcome("missed interruption")
    await it.caller.wait_for("user.transcript", lambda e: e["final"], since=since, timeout_s=8)
    if stopped["reason"] != "interrupted":
        return Outcome("missed interruption")
    # the first pause of the agent's packets since then: an answer may follow
    packets = [began_s, *(at_s for at_s in it.packets if at_s >= began_s)]
    gaps = (a for a, b in itertools.pairwise([*packets, math.inf]) if b - a > 0.1)
    return Outcome("", (next(gaps) - began_s) * 1000)


async def early(it: Simulated) -> Outcome:
    """ "Yes", so that it begins before the question is over."""
    it.caller.send(type="agent.say", text=QUESTION)
    await it.caller.wait_for("agent.word", lambda e: e["text"] == "your")
    await asyncio.sleep(it.r.uniform(0.0, 0.4))
    since = len(it.caller.events)
    await it.say(sentence("yes"))
    try:
        await it.caller.wait_for("user.transcript", lambda e: e["final"], since=since, timeout_s=6)
    except TimeoutError:
        return Outcome("early answer lost")
    return Outcome()


def echo(delay_s: float) -> Callable[[Simulated], Awaitable[Outcome]]:
    async def echoing(it: Simulated) -> Outcome:
        it.caller.speak(silence(delay_s))
        played = len(it.caller.recording())

        async def loop() -> None:
            nonlocal played
            while True:
                await asyncio.sleep(0.02)
                new = it.caller.recording()[played:]
                played += len(new)
                if len(new):
                    it.caller.speak(np.asarray(new * 0.3, np.int16))

        looping = asyncio.create_task(loop())
        try:
            it.caller.send(type="agent.say", text=LONG)
            return await it.undisturbed()
        finally:
            looping.cancel()

    return echoing


KINDS: dict[str, Callable[[Simulated], Awaitable[Outcome]]] = {
    "whole": whole,
    "hesitation": hesitation,
    "number": number,
    "backchannel": backchannel,
    "cough": coughing,
    "interruption": interruption,
    "early": early,
    **{f"echo {ms} ms": echo(ms / 1000) for ms in (60, 200, 400, 600)},
}


async def measured(url: str, kind: str, seeds: int, noise_db: float) -> list[Outcome]:
    outcomes = []
    for seed in range(seeds):
        async with Caller(url) as caller:
            await caller.wait_for("state.changed", lambda e: e["state"] == "listening")
            it = Simulated(caller, np.random.default_rng(seed), noise_db)
            outcomes.append(await KINDS[kind](it))
    return outcomes


def row(kind: str, outcomes: list[Outcome]) -> str:
    wrong = [o.wrong for o in outcomes if o.wrong]
    delays = [o.delay_ms for o in outcomes if o.delay_ms is not None]
    middle = f"{statistics.median(delays):.0f}" if delays else ""
    return f"| {kind} | {len(outcomes)} | {len(wrong)} | {middle} | {'; '.join(wrong)} |"


async def main(args: Any) -> None:
    async with measured_server("--pack", args.pack) as server:
        print("| caller | calls | wrong | delay, ms | how |\n| --- | --- | --- | --- | --- |")
        for kind in KINDS:
            if not args.only or kind.split()[0] in args.only:
                print(row(kind, await measured(server.url, kind, args.seeds, args.noise_db)), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="callers of each kind")
    parser.add_argument("--only", nargs="*", default=[], help="kinds, by their first word")
    parser.add_argument("--noise-db", type=float, default=40, help="how much louder words are than noise")
    parser.add_argument("--pack", default="starter")
    asyncio.run(main(parser.parse_args()))

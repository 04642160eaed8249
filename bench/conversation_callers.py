"""Simulated callers of the conversation's benchmark: what each says and hears, and how it was treated."""

from __future__ import annotations

import asyncio
import itertools
import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np
from numpy.typing import NDArray

from bench.server import SENTENCES
from media_server.audio import CALL_RATE_HZ, Samples, read_wav
from media_server.caller import Caller

__all__ = ["KINDS", "Conditions", "Outcome", "Simulated", "spoken_sounds"]

LONG = "I can do sums, switch lights, set timers, take a pizza order, and connect you to sales, support or billing."
QUESTION = "We have many good things on our menu. Do you want cheese on your pizza?"
WHOLE = ("what is seven plus five", "what is nine times three", "turn on the light in the kitchen", "what is my name")
INTERRUPTING = ("what is nine times three", "goodbye", "can you repeat that", "what can you do")
BACKCHANNELS = ("okay", "yes", "right", "sure", "yeah", "I see", "mhm", "uh huh")
STOPS = ("stop", "wait", "hold on")
"""What callers say who want silence, in a quarter to half a second."""
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PLACES = ("sums,", "lights,", "timers,", "take")
LOUD = 300
COMFORT_BYTES = 8
"""A packet with more than this is no packet of silence."""
FRAME = CALL_RATE_HZ // 50
AHEAD_S = 0.06
ECHO_GAIN = 0.3
ASIDE_GAIN = 0.2
"""Loudness of what is said away from the microphone."""
TALKERS = 6
HIGHER = 1.09
"""How much higher a caller's voice is than the agent's."""
_Random = np.random.Generator
_Sound = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """How one caller was treated; `wrong` is empty where it was right."""

    wrong: str = ""
    delay_ms: float | None = None


@dataclass(frozen=True)
class Conditions:
    """What is heard behind the caller: by how many decibels its words are louder, and after how long the agent is."""

    noise_db: float = 40
    babble_db: float | None = None
    echo_s: float | None = None


def sentence(text: str) -> Samples:
    """A recording without the silence around it."""
    return _trimmed(read_wav(SENTENCES / f"{text.replace(' ', '-')}.wav", CALL_RATE_HZ))


def _trimmed(samples: Samples) -> Samples:
    loud = np.nonzero(np.abs(samples.astype(np.int32)) > LOUD)[0]
    return samples[loud[0] : loud[-1]] if len(loud) else samples


async def spoken_sounds(url: str) -> dict[str, Samples]:
    """Each backchannel and word that stops as the server's own voice says it, a little higher than the agent does."""
    out = {}
    async with aiohttp.ClientSession() as http:
        for text in (*BACKCHANNELS, *STOPS):
            asked = {"input": text, "response_format": "pcm", "sample_rate": CALL_RATE_HZ}
            async with http.post(f"{url}/v1/audio/speech", json=asked) as answer:
                answer.raise_for_status()
                said = np.frombuffer(await answer.read(), np.int16)
            higher = np.interp(np.arange(0, len(said), HIGHER), np.arange(len(said)), said)
            out[text] = _trimmed(np.asarray(higher, np.int16))
    return out


def words_of(text: str) -> set[str]:
    """The words of a text or of any recogniser's transcript: small letters, figures as words."""
    spelled = re.sub(r"\d", lambda digit: f" {DIGITS[int(digit[0])]} ", text.lower())
    return set(re.findall(r"[a-z']+", spelled))


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * CALL_RATE_HZ), np.int16)


def cough(r: _Random) -> Samples:
    shape = np.exp(-np.linspace(0, 5, 14_400)) * (1 + 0.5 * np.sin(np.arange(14_400) * np.pi / 160))
    return np.asarray((r.normal(size=14_400) * shape * 7000).clip(-32768, 32767), np.int16)


def babble(r: _Random, level: float) -> _Sound:
    """Some seconds of several people who talk at once, at this root mean square."""
    length = 10 * CALL_RATE_HZ
    out = np.zeros(length)
    for _ in range(TALKERS):
        said = np.concatenate([sentence(text) for text in r.permutation(WHOLE + INTERRUPTING)]).astype(np.float64)
        out += np.resize(np.roll(said, int(r.integers(len(said)))), length)
    return out * level / float(np.sqrt(np.mean(out**2)))


class Simulated:
    """A caller in a call; `run` sends its words with all that is behind them, until it is cancelled."""

    def __init__(self, caller: Caller, r: _Random, conditions: Conditions, sounds: dict[str, Samples]) -> None:
        self.caller, self.r, self.sounds = caller, r, sounds
        self.packets: list[float] = []
        """When packets of the agent's voice came."""
        receiver: Any = caller.pc.getReceivers()[0]
        handle = receiver._handle_rtp_packet

        async def note(packet: Any, arrival_time_ms: int) -> None:
            if len(packet.payload) > COMFORT_BYTES:
                self.packets.append(asyncio.get_running_loop().time())
            await handle(packet, arrival_time_ms)

        receiver._handle_rtp_packet = note
        self._conditions = conditions
        level = float(np.sqrt(np.mean(sentence(WHOLE[0]).astype(np.float64) ** 2)))
        self._noise = level * 10 ** (-conditions.noise_db / 20)
        self._behind = (
            babble(r, level * 10 ** (-conditions.babble_db / 20)) if conditions.babble_db is not None else None
        )
        self._words: list[tuple[Samples, asyncio.Event]] = []
        self._at = self._behind_at = 0

    async def run(self) -> None:
        heard, echo = 0, np.zeros(int((self._conditions.echo_s or 0) * CALL_RATE_HZ))
        while True:
            if self._conditions.echo_s is not None:
                received: list[Samples] = self.caller._received
                echo = np.concatenate([echo, *(part * ECHO_GAIN for part in received[heard:])])
                heard = len(received)
            while self.caller.ahead_s < AHEAD_S:
                frame = self._frame()
                if len(echo) >= FRAME:
                    frame, echo = frame + echo[:FRAME], echo[FRAME:]
                self.caller.speak(np.asarray(frame.clip(-32768, 32767), np.int16))
            await asyncio.sleep(0.01)

    def _frame(self) -> _Sound:
        """The next 20 ms."""
        frame = np.zeros(FRAME)
        if self._words:
            samples, said = self._words[0]
            part = samples[self._at : self._at + FRAME]
            frame[: len(part)] = part
            frame += self.r.normal(size=FRAME) * self._noise
            self._at += FRAME
            if self._at >= len(samples):
                self._words.pop(0)
                self._at = 0
                said.set()
        if self._behind is not None:
            frame += self._behind.take(np.arange(self._behind_at, self._behind_at + FRAME), mode="wrap")
            self._behind_at += FRAME
        return frame

    async def say(self, samples: Samples) -> None:
        """Returns with the last sound."""
        said = asyncio.Event()
        self._words.append((samples, said))
        await said.wait()
        await asyncio.sleep(AHEAD_S)

    def finals(self, since: int = 0) -> list[str]:
        return [e["text"] for e in self.caller.events[since:] if e["type"] == "user.transcript" and e["final"]]

    async def answered(self, text: str) -> Outcome:
        """After a turn: whether it was one turn, with all of its words."""
        try:
            metrics = await self.caller.wait_for("turn.metrics", timeout_s=8)
        except TimeoutError:
            return Outcome("missed end")
        await asyncio.sleep(1.2)
        lost = words_of(text) - words_of(" ".join(self.finals()))
        cut = "false cut-off" if len(self.finals()) > 1 else ""
        words = f"words lost: {' '.join(sorted(lost))}" if lost else ""
        return Outcome(", ".join(filter(None, (cut, words))), metrics["response_ms"])

    async def over(self, text: str, word: str) -> int:
        """Have the agent say the text, up to this word; the number of events by then."""
        self.caller.send(type="agent.say", text=text)
        await self.caller.wait_for("agent.word", lambda e: e["text"] == word, timeout_s=20)
        return len(self.caller.events)

    async def undisturbed(self, what: str = "", since: int = 0) -> Outcome:
        """Whether the agent says all it has to say, after so many events."""
        stopped = await self.caller.wait_for("agent.speech_stopped", since=since, timeout_s=40)
        wrong = f"false interruption: {what} {self.finals()}"
        return Outcome("" if stopped["reason"] == "completed" else wrong)


async def whole(it: Simulated) -> Outcome:
    text = str(it.r.choice(WHOLE))
    await it.say(sentence(text))
    return await it.answered(text)


async def hesitation(it: Simulated) -> Outcome:
    pause = silence(it.r.uniform(0.4, 1.1))
    await it.say(np.concatenate([sentence("i would like to um"), pause, sentence("book an appointment")]))
    return await it.answered("would like book an appointment")


async def correction(it: Simulated) -> Outcome:
    first = sentence("what is seven plus five")
    pause = silence(it.r.uniform(0.2, 0.5))
    # breaks off in the middle: "what is seven plus – what is nine times three"
    await it.say(np.concatenate([first[: int(len(first) * 0.62)], pause, sentence("what is nine times three")]))
    return await it.answered("what is nine times three")


async def number(it: Simulated) -> Outcome:
    pause = silence(it.r.uniform(0.4, 1.0))
    await it.say(np.concatenate([sentence("where is my order four two seven"), pause, sentence("nine one")]))
    return await it.answered("where is my order four two seven nine one")


async def told_number(it: Simulated) -> Outcome:
    """A number whose form the agent has told."""
    it.caller.send(type="agent.say", text="Your order number has three digits.")
    await it.caller.wait_for("agent.speech_stopped", timeout_s=20)
    await asyncio.sleep(0.3)
    await it.say(sentence("where is my order four two seven"))
    return await it.answered("where is my order four two seven")


async def backchannel(it: Simulated) -> Outcome:
    text = str(it.r.choice(BACKCHANNELS))
    await it.over(LONG, str(it.r.choice(PLACES)))
    await it.say(it.sounds[text])
    return await it.undisturbed(text)


async def coughing(it: Simulated) -> Outcome:
    await it.over(LONG, str(it.r.choice(PLACES)))
    await it.say(cough(it.r))
    return await it.undisturbed()


async def aside(it: Simulated) -> Outcome:
    """Something said to somebody else, away from the microphone, by a caller who has had a turn."""
    await it.say(sentence("what is my name"))
    await it.caller.wait_for("agent.speech_started", timeout_s=20)
    it.caller.send(type="agent.interrupt")  # a small model's answer may be long
    await it.caller.wait_for("agent.speech_stopped", timeout_s=20)
    await asyncio.sleep(0.5)
    since = await it.over(LONG, str(it.r.choice(PLACES)))
    said = sentence(str(it.r.choice(INTERRUPTING)))
    await it.say(np.asarray(said * ASIDE_GAIN, np.int16))
    return await it.undisturbed(since=since)


async def interruption(it: Simulated) -> Outcome:
    await it.over(LONG, str(it.r.choice(PLACES[:3])))
    return await interrupted_by(it, sentence(str(it.r.choice(INTERRUPTING))))


async def stopping(it: Simulated) -> Outcome:
    """One word by which people ask for silence."""
    await it.over(LONG, str(it.r.choice(PLACES[:3])))
    return await interrupted_by(it, it.sounds[str(it.r.choice(STOPS))])


async def interrupted_by(it: Simulated, sound: Samples) -> Outcome:
    began_s = asyncio.get_running_loop().time()
    since = len(it.caller.events)
    await it.say(sound)
    try:
        stopped = await it.caller.wait_for("agent.speech_stopped", timeout_s=8)
        await it.caller.wait_for("user.transcript", lambda e: e["final"], since=since, timeout_s=8)
    except TimeoutError:
        return Outcome("missed interruption")
    if stopped["reason"] != "interrupted":
        return Outcome("missed interruption")
    # the first pause of the agent's packets since then: an answer may follow
    packets = [began_s, *(at_s for at_s in it.packets if at_s >= began_s)]
    gaps = (a for a, b in itertools.pairwise([*packets, math.inf]) if b - a > 0.1)
    return Outcome("", (next(gaps) - began_s) * 1000)


async def early(it: Simulated) -> Outcome:
    """ "Yes", so that it begins before the question is over."""
    it.caller.send(type="agent.say", text=QUESTION)
    await it.caller.wait_for("agent.word", lambda e: e["text"] == "your", timeout_s=20)
    await asyncio.sleep(it.r.uniform(0.0, 0.4))
    since = len(it.caller.events)
    await it.say(sentence("yes"))
    try:
        await it.caller.wait_for("user.transcript", lambda e: e["final"], since=since, timeout_s=6)
    except TimeoutError:
        return Outcome("early answer lost")
    return Outcome()


async def echoing(it: Simulated) -> Outcome:
    it.caller.send(type="agent.say", text=LONG)
    return await it.undisturbed()


async def interrupting_echo(it: Simulated) -> Outcome:
    """An interruption on a line that echoes."""
    it.caller.send(type="agent.say", text=LONG)
    await asyncio.sleep(it.r.uniform(2.5, 3.5))
    since = len(it.caller.events)
    await it.say(sentence(str(it.r.choice(INTERRUPTING))))
    try:
        await it.caller.wait_for("user.transcript", lambda e: e["final"], since=since, timeout_s=8)
    except TimeoutError:
        return Outcome("missed interruption")
    return Outcome()


Act = Callable[[Simulated], Awaitable[Outcome]]
KINDS: dict[str, tuple[Act, float | None]] = {
    "whole": (whole, None),
    "hesitation": (hesitation, None),
    "correction": (correction, None),
    "number in groups": (number, None),
    "number told": (told_number, None),
    "backchannel": (backchannel, None),
    "cough": (coughing, None),
    "aside": (aside, None),
    "interruption": (interruption, None),
    "stop": (stopping, None),
    "early": (early, None),
    **{f"echo {ms} ms": (echoing, ms / 1000) for ms in (60, 200, 400, 600)},
    "interruption over echo": (interrupting_echo, 0.2),
}
"""What callers do, and after how long the agent's voice comes back to it, where it does."""

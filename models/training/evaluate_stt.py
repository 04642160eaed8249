"""Score the recogniser as the server runs it, on speech that has been through a real call.

    python evaluate_stt.py

Word error rates in trained voices, in a voice never trained on, with noise; what it writes where nobody speaks; partial
transcripts; word times; whether its confidence tells when it is wrong; what it makes of words outside its domain.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import numpy as np
from dialogues import sentences
from not_speech import RATE, not_speech
from opus_call import through_calls
from scores import auc, word_errors
from skills import UNCLEAR
from speech_programs import HELD_OUT_VOICE, STARTER, read_wav, speak, to_int16
from starter_pack import STT
from transcripts import foreign, label

from media_server.audio import Samples
from media_server.engines.whisper import WhisperEngine

HUMAN = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
"""Debian's asterisk-core-sounds-en-wav: a person's recorded prompts, 8 kHz."""


def with_noise(samples: Samples, snr_db: float, seed: int) -> Samples:
    """White noise, louder than nothing by the speech's power and the ratio."""
    x = samples.astype(np.float32)
    noise = np.random.default_rng(seed).normal(size=len(x)).astype(np.float32)
    speech = x[np.abs(x) > 300]
    power = float(np.sqrt((speech**2).mean())) if len(speech) else 1.0
    return np.clip(x + noise * power * 10 ** (-snr_db / 20), -32768, 32767).astype(np.int16)


class Scores:
    def __init__(self, engine: WhisperEngine, show: int) -> None:
        self.engine, self.show = engine, show
        self.figures: dict[str, float] = {}
        self.heard: list[tuple[float, float]] = []
        """Confidence and word error rate of each utterance."""

    def words(self, name: str, said: list[str], clips: list[Samples]) -> None:
        errors = words = 0
        wrong = []
        for text, clip in zip(said, clips, strict=True):
            h = self.engine.transcribe([clip])[0]
            e, n = word_errors(text, h.text)
            errors, words = errors + e, words + n
            self.heard.append((h.confidence, e / max(1, n)))
            if e:
                wrong.append(f"{text} -> {h.text}")
        self.figure(name, errors / words, f"{errors} of {words} words")
        for line in wrong[: self.show]:
            print("      ", line)

    def figure(self, name: str, value: float, of: str = "", percent: bool = True) -> None:
        self.figures[name] = round(value, 4)
        print(f"{name:<58}{value:>8.1%}  {of}" if percent else f"{name:<58}{value:>8.3f}  {of}", flush=True)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", type=Path, default=STT)
    ap.add_argument("--sentences", type=int, default=40, help="for each voice")
    ap.add_argument("--show", type=int, default=3, help="errors printed for each figure")
    ap.add_argument("--json", type=Path)
    args = ap.parse_args()
    s = Scores(WhisperEngine.load(args.model), args.show)
    r = random.Random(11)

    def spoken(texts: list[str], voice: str) -> list[Samples]:
        return [to_int16(np.pad(speak(t, voice, r)[0], (1600, 3200))) for t in texts]

    print("Word error rates, held-out wordings, through a call")
    voices = ["slt", "rms", "awb", "kal16", "espeak"]
    said = [sentences(args.sentences, 500 + i, test=True) for i in range(len(voices))]
    clean = [spoken(t, v) for t, v in zip(said, voices, strict=True)]
    noisy = [with_noise(c, 15, i) for i, c in enumerate(c for clips in clean for c in clips)][::2]
    unseen = sentences(args.sentences * 2, 600, test=True)
    unseen_clips = spoken(unseen, HELD_OUT_VOICE)
    strange = foreign(args.sentences * 2, 700, test=True)
    strange_clips = [to_int16(np.pad(speak(t, r.choice(voices), r)[0], (1600, 3200))) for t in strange]
    everything = [c for clips in clean for c in clips]
    heard = through_calls(everything + noisy + unseen_clips + strange_clips)
    everything_said = [t for texts in said for t in texts]
    for i, voice in enumerate(voices):
        s.words(f"  {voice}", said[i], heard[i * args.sentences : (i + 1) * args.sentences])
    trained = heard[: len(everything)]
    at = len(everything)
    s.words("  all trained voices (asked: 3 %)", everything_said, trained)
    s.words("  ... at 15 dB of white noise (asked: 8 %)", everything_said[::2], heard[at : at + len(noisy)])
    at += len(noisy)
    s.words(f"  {HELD_OUT_VOICE}, never trained on (asked: 12 %)", unseen, heard[at : at + len(unseen)])
    at += len(unseen)
    replies = sentences(40, 800, test=True)
    s.words("  the starter voice, without a call", replies, spoken(replies, STARTER))

    print("Hotwords, trained voices: three words at random and one of the sentence's")
    errors = count = 0
    bag = " ".join(everything_said).split()
    for text, clip in zip(everything_said[::4], trained[::4], strict=True):
        hotwords = " ".join([*r.sample(bag, 3), r.choice(text.split())])
        e, n = word_errors(text, s.engine.transcribe([clip], hotwords=hotwords)[0].text)
        errors, count = errors + e, count + n
    s.figure("  word error rate", errors / count, f"{errors} of {count} words")

    print("Outside the domain")
    invented = foreign_count = refused = with_foreign = 0
    for text, clip in zip(strange, heard[at:], strict=True):
        h = s.engine.transcribe([clip])[0].text
        labels = label(text)
        missing = sum(x == UNCLEAR for x in labels)
        if missing:
            with_foreign += 1
            refused += UNCLEAR in h or not h
            foreign_count += missing
            known = [w for w in h.split() if w != UNCLEAR]
            invented += max(0, len(known) - (len(labels) - missing))
    s.figure(
        "  sentences with a foreign word marked [unclear] or empty",
        refused / with_foreign,
        f"{refused} of {with_foreign}",
    )
    s.figure("  known words written for foreign ones", invented / foreign_count, f"{invented} of {foreign_count}")

    print("Where nobody speaks")
    quiet = not_speech(2000)[1600:]  # beyond those that training takes
    empty = sum(not s.engine.transcribe([(x * 32767).astype(np.int16)])[0].text for x in quiet)
    s.figure(
        "  empty text", empty / len(quiet), f"{empty} of {len(quiet)}: silence, noise, hum, clicks, coughs, melodies"
    )

    print("Partial transcripts")
    right = total = 0
    ends: list[float] = []
    starts: list[float] = []
    timed = 0
    for i, text in enumerate(sentences(60, 900, test=True)):
        y, times = speak(text, ["slt", "rms", "espeak"][i % 3], r)
        if not times:
            continue
        samples = to_int16(np.pad(y, (1600, 3200)))
        words = text.split()
        for k in range(1, len(words)):
            part = samples[: int((times[k][0] + 0.1) * RATE) + 800]
            got = s.engine.transcribe([part])[0].text.split()
            total += 1
            right += got[:k] == words[:k] and len(got) <= k + 1
        placed = s.engine.transcribe([samples], words=True)[0].words
        if [w.text for w in placed] == words:
            starts += [abs(w.start_s - begin - 0.1) for w, (begin, _) in zip(placed, times, strict=True)]
            ends += [abs(w.end_s - end - 0.1) for w, (_, end) in zip(placed, times, strict=True)]
            timed += len(words)
    s.figure("  the words so far, at most one more", right / total, f"{right} of {total} beginnings")
    print("Word times where the words are right, against the speech program's")
    for name, off in (("start", starts), ("end", ends)):
        s.figure(f"  {name}: median error, s", float(np.median(off)), percent=False)
        s.figure(f"  {name}: within 0.1 s", float(np.mean(np.array(off) <= 0.1)), f"of {timed} words")

    print("Confidence")
    for i, snr in enumerate((8, 4, 0, -3)):
        for text, clip in zip(everything_said[i::8], everything[i::8], strict=True):
            noisy_one = s.engine.transcribe([with_noise(clip, snr, i)])[0]
            e, n = word_errors(text, noisy_one.text)
            s.heard.append((noisy_one.confidence, e / n))
    confidence, wrong = np.array([c for c, _ in s.heard]), np.array([min(1.0, e) for _, e in s.heard])
    s.figure(
        "  correlation of confidence and word error rate", float(np.corrcoef(confidence, wrong)[0, 1]), percent=False
    )
    s.figure(
        "  AUC: tells right utterances from wrong ones",
        auc(confidence[wrong == 0], confidence[wrong > 0]),
        percent=False,
    )

    if any(HUMAN.rglob("*.wav")):  # the other package has the same folder, with GSM in it
        print("A person (recorded prompts, telephone band)")
        human(s)
    else:
        print("No recorded human speech here: apt-get install asterisk-core-sounds-en-wav")
    if args.json:
        args.json.write_text(json.dumps(s.figures, indent=1) + "\n")


def human(s: Scores) -> None:
    """Numbers, letters and short phrases of the domain that the prompts of a telephone exchange have."""
    said = {
        f"digits/{n}": t
        for n, t in enumerate(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty".split()
        )
    }
    said |= {
        f"digits/{n}": t
        for n, t in (
            (30, "thirty"),
            (40, "forty"),
            (50, "fifty"),
            (60, "sixty"),
            (70, "seventy"),
            (80, "eighty"),
            (90, "ninety"),
        )
    }
    said |= {
        f"digits/day-{i}": d for i, d in enumerate("sunday monday tuesday wednesday thursday friday saturday".split())
    }
    said |= {
        f"digits/mon-{i}": m
        for i, m in enumerate(
            "january february march april may june july august september october november december".split()
        )
    }
    said |= {f"letters/{c}": c for c in "abcdefghijklmnopqrstuvwxyz"}
    said |= {
        "vm-goodbye": "goodbye",
        "hello": "hello",
        "digits/hundred": "hundred",
        "digits/thousand": "thousand",
        "digits/today": "today",
        "digits/tomorrow": "tomorrow",
    }
    there = {name: text for name, text in said.items() if (HUMAN / f"{name}.wav").is_file()}
    clips = [to_int16(np.pad(read_wav(str(HUMAN / f"{name}.wav")), (3200, 4800))) for name in there]
    s.words("  single words and letters", list(there.values()), clips)
    rng = random.Random(3)
    names = [
        n
        for n in there
        if n.startswith("digits/") and n.removeprefix("digits/").isdigit() and int(n.removeprefix("digits/")) < 10
    ]
    texts, joined = [], []
    for _ in range(20):
        some = [rng.choice(names) for _ in range(4)]
        texts.append(" ".join(there[n] for n in some))
        joined.append(to_int16(np.pad(np.concatenate([read_wav(str(HUMAN / f"{n}.wav")) for n in some]), (3200, 4800))))
    s.words("  four digits, joined", texts, joined)


if __name__ == "__main__":
    main()

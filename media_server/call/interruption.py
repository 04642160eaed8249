"""What a sound is that is made while the agent speaks, by its words and their times. Pure.

The agent's own voice comes back through the caller's microphone with one delay for all its words. A caller who answers
in the agent's words says them later, and at a pace of his own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

from media_server.call.joining import CHARACTER

__all__ = ["ACKNOWLEDGEMENTS", "Sound", "TimedWord", "Weighed", "spread", "timed", "weigh"]

Sound = Literal["speech", "acknowledgement", "echo", "noise"]

ACKNOWLEDGEMENTS = frozenset(
    {
        "ah",
        "aha",
        "all",
        "alright",
        "good",
        "got",
        "great",
        "hm",
        "hmm",
        "huh",
        "i",
        "it",
        "mhm",
        "mm",
        "mmhm",
        "oh",
        "ok",
    }
    | {"okay", "right", "see", "sure", "thanks", "uh", "uhhuh", "um", "uhm", "yeah", "yep", "yes", "yup"}
    # German, Spanish, French, Italian, Portuguese, Dutch, Turkish
    | {
        "ja",
        "genau",
        "achso",
        "ach",
        "äh",
        "ähm",
        "klar",
        "sí",
        "claro",
        "vale",
        "ajá",
        "oui",
        "ouais",
        "accord",
        "d'accord",
    }
    | {"euh", "sì", "certo", "sim", "tá", "oké", "klopt", "evet", "tamam", "hı"}
    | {"gut", "alles", "stimmt", "richtig", "jawohl", "mhmm", "verstehe", "ich"}
    | {"si", "bueno", "ya", "entiendo", "perfecto", "acuerdo", "de", "exacto", "bien", "muy"}
    | {"hum", "très", "je", "vois", "exactement", "voilà", "parfait"}
    | {"va", "bene", "capito", "esatto", "giusto", "perfetto", "ho"}
    | {"entendi", "isso", "pois", "é", "bom", "beleza", "perfeito"}
    | {"goed", "prima", "precies", "juist", "begrepen", "begrijp", "ik", "snap"}
    | {"peki", "anladım", "doğru", "tabii", "olur", "güzel", "öyle", "mi"}
    | {"exactly", "absolutely", "definitely", "indeed", "totally", "understood", "agreed", "cool", "nice", "lovely"}
    | {
        "awesome",
        "perfect",
        "excellent",
        "wonderful",
        "fine",
        "super",
        "wow",
        "ooh",
        "oooh",
        "interesting",
        "of course",
    }
    | {
        "thank you",
        "thank you very much",
        "makes sense",
        "fair enough",
        "no problem",
        "go on",
        "for sure",
        "that's right",
    }
    | {"natürlich", "selbstverständlich", "toll", "prima", "schön", "danke", "eben", "logo", "passt"}
    | {"por supuesto", "desde luego", "gracias", "exactamente", "genial", "de nada", "está bien", "así es"}
    | {"bien sûr", "tout à fait", "merci", "super", "génial", "entendu", "c'est ça", "effectivement", "bien"}
    | {"certamente", "naturalmente", "grazie", "ottimo", "d'accordo", "esattamente", "ecco", "chiaro"}
    | {"com certeza", "tudo bem", "entendido", "claro", "obrigado", "obrigada", "ótimo", "exatamente", "legal"}
    | {"natuurlijk", "is goed", "bedankt", "dank je", "zeker", "inderdaad", "helder", "duidelijk", "mooi"}
    | {"tabii ki", "elbette", "aynen", "teşekkürler", "harika", "kesinlikle", "evet evet", "süper"}
    # Chinese, Japanese
    | {"嗯", "好", "的", "对", "是", "は", "い", "う", "ん", "え"}
)
"""Words and phrases that say no more than "go on": a sound of nothing but these does not interrupt."""
MOST_WORDS = 4
"""Words of an acknowledgement at most."""
PREFIX = 4
"""Letters that make a beginning."""
ECHO_SHARE = 0.6
"""Share of the letters, at least, in words that came back with one delay: the agent's own voice …"""
KNOWN_SHARE = 0.5
"""… and on a line whose delay is known: cut at a comma, what is left of an echo is short and easily misheard."""
MAX_DELAY_S = 1.0
"""The longest way from the agent's voice through a room and two networks back …"""
LATE_DELAY_S, LATE_TOLERANCE_S = 2.2, 0.12
"""… unless several words keep the agent's pace as hardly anybody does who repeats them."""
LATE_WORDS, LATE_WORDS_ASKED = 2, 4
"""So many; and where the agent asks, so that its words are an answer, so many."""
TOLERANCE_S = 0.25
"""How far times of words may be off."""
SPREAD_TOLERANCE_S = 0.5
"""The same where a word's time is only guessed."""
_ANNOTATION = re.compile(r"\[[^\]]*\]|\([^)]*\)|\*[^*]*\*")
"""What recognisers write for sounds: `[unclear]`, `(music)`, `*cough*`."""
_WORD = re.compile(rf"{CHARACTER}|[^\W_]+(?:'[^\W_]+)?")


class TimedWord(NamedTuple):
    """A word in lower case, and when it began, on the call's clock."""

    text: str
    at_s: float


class Weighed(NamedTuple):
    """What a sound is; of an echo, its words and their delay behind the agent's."""

    sound: Sound
    echoed: int = 0
    delay_s: float | None = None


def timed(text: str, at_s: float) -> list[TimedWord]:
    """The words of what began at this time: usually one."""
    return [TimedWord(w.lower(), at_s) for w in _WORD.findall(_ANNOTATION.sub(" ", text))]


def spread(text: str, start_s: float, end_s: float) -> list[TimedWord]:
    """The words of a transcript without times, spread over its sound by their letters."""
    words = [w.lower() for w in _WORD.findall(_ANNOTATION.sub(" ", text))]
    letters = sum(len(w) + 1 for w in words)
    out, before = [], 0
    for word in words:
        out.append(TimedWord(word, start_s + (end_s - start_s) * before / letters))
        before += len(word) + 1
    return out


def weigh(
    heard: Sequence[TimedWord],
    played: Sequence[TimedWord],
    acknowledgements: Collection[str],
    min_words: int,
    *,
    delay_s: float | None = None,
    guessed: bool = False,
    asked: bool = False,
) -> Weighed:
    """What a sound is.

    Args:
        heard: its words; none where nothing was understood.
        played: the agent's last words, at the times at which they went out.
        acknowledgements: words and phrases, in lower case.
        min_words: the number of words, acknowledgements not counted, from which on it is an interruption.
        delay_s: the delay with which the agent's voice comes back on this line, where it has.
        guessed: the times of the words are.
        asked: the agent asks a question.
    """
    if not heard:
        return Weighed("noise")
    late_words = LATE_WORDS_ASKED if asked else LATE_WORDS
    echoed, behind_s = _echoed(heard, played, delay_s, guessed, late_words)
    share = ECHO_SHARE if delay_s is None else KNOWN_SHARE
    letters = sum(len(w.text) for w in heard)
    if echoed and sum(len(heard[i].text) for i in echoed) >= share * letters:
        return Weighed("echo", len(echoed), behind_s)
    meant = _meant([w.text for w in heard], acknowledgements, goes_on=guessed)
    if not meant:
        return Weighed("acknowledgement")
    return Weighed("speech" if meant >= min_words else "noise")


def _meant(words: Sequence[str], acknowledgements: Collection[str], goes_on: bool) -> int:
    """How many of the words are part of no acknowledgement.

    Args:
        goes_on: more words follow, so that *of* may be the beginning of *of course*.
    """
    meant = at = 0
    while at < len(words):
        ends = range(min(len(words), at + MOST_WORDS), at, -1)
        end = next((end for end in ends if " ".join(words[at:end]) in acknowledgements), None)
        begun = f"{' '.join(words[at:])} "
        if end is None and goes_on and any(phrase.startswith(begun) for phrase in acknowledgements):
            return meant
        meant += end is None
        at = end or at + 1
    return meant


def _echoed(
    heard: Sequence[TimedWord], played: Sequence[TimedWord], delay_s: float | None, guessed: bool, late_words: int
) -> tuple[frozenset[int], float]:
    """Which of the words came behind the agent's with the delay that most of them have, and that delay."""
    slack = SPREAD_TOLERANCE_S if guessed else TOLERANCE_S
    behind = [
        (i, word.at_s - said.at_s)
        for i, word in enumerate(heard)
        for said in played
        if -slack <= word.at_s - said.at_s <= LATE_DELAY_S + slack and _alike(word.text, said.text)
    ]
    best: tuple[frozenset[int], float] = frozenset(), 0.0
    for _, delay in behind:
        if delay_s is not None and abs(delay - delay_s) > slack:
            continue
        late = delay > MAX_DELAY_S and delay_s is None and not guessed
        tolerance = LATE_TOLERANCE_S if late else slack
        found = frozenset(i for i, other in behind if abs(other - delay) <= tolerance)
        if len(found) >= (late_words if late else 1) and len(found) > len(best[0]):
            best = found, delay
    return best


def _alike(a: str, b: str) -> bool:
    """Equal, or the beginning of one another: the end of what is under way is often cut off."""
    return a == b or (min(len(a), len(b)) >= PREFIX and (a.startswith(b) or b.startswith(a)))

"""What a sound is that is made while the agent speaks, by its words and their times. Pure.

The agent's own voice comes back through the caller's microphone with one delay for all its words. A caller who answers
in the agent's words says them later, and at a pace of his own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

from media_server.call.joining import CHARACTER

__all__ = [
    "ACKNOWLEDGEMENTS",
    "FAREWELLS",
    "Sound",
    "TimedWord",
    "Weighed",
    "asks_for_silence",
    "spread",
    "timed",
    "weigh",
]

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
    | {"sounds good", "sounds great", "i understand", "that makes sense", "all right then", "right then", "no worries"}
    | {"take your time", "no rush", "no hurry", "sure thing", "you bet", "that works", "that's fine", "that's great"}
    | {
        "i c",
        "that's good",
        "that is fine",
        "very good",
        "very well",
        "gotcha",
        "works for me",
        "fine by me",
        "i'll wait",
    }
    | {"ach so", "na gut", "na klar", "na ja", "alles gut", "sehr gut", "ist gut", "geht klar", "kein problem", "gerne"}
    | {"kein stress", "keine eile", "passt schon", "in ordnung", "verstanden", "jo", "joa", "aha", "soso"}
    | {"claro que sí", "no hay problema", "ya veo", "qué bien", "de acuerdo", "muy bien", "sin prisa", "perfecto"}
    | {"pas de problème", "ça marche", "ça va", "je comprends", "prenez votre temps", "bien entendu", "très bien"}
    | {"nessun problema", "ho capito", "faccia pure", "con calma", "va benissimo", "benissimo", "perfetto", "ah ecco"}
    | {"claro que sim", "sem problema", "tá certo", "tá bem", "está bem", "eu entendo", "sem pressa", "muito bem"}
    | {"ja hoor", "jazeker", "geen probleem", "dat is goed", "komt goed", "ik snap het", "ik begrijp het", "top"}
    | {"sorun değil", "tamamdır", "pekala", "anlıyorum", "çok iyi", "acele etmeyin", "tabii tabii", "hı hı"}
    | {"really", "oh really", "true", "correct", "that's correct", "that's true", "very nice", "very interesting"}
    | {"amazing", "fantastic", "brilliant", "marvellous", "marvelous", "how nice", "how lovely", "great stuff"}
    | {"wirklich", "ach wirklich", "echt", "wunderbar", "sehr schön", "ausgezeichnet", "hervorragend", "spitze"}
    | {"klasse", "fein", "interessant", "das stimmt", "korrekt", "alles richtig", "krass", "wie schön"}
    | {"qué bueno", "estupendo", "fenomenal", "excelente", "interesante", "en serio", "cierto", "es verdad"}
    | {"correcto", "eso es", "maravilloso", "no me diga", "fantástico", "ya entiendo"}
    | {"ah bon", "c'est vrai", "magnifique", "formidable", "excellent", "intéressant", "c'est super", "c'est bien"}
    | {"vraiment", "ah oui", "c'est exact", "oh là là"}
    | {"capisco", "fantastico", "meraviglioso", "eccellente", "interessante", "davvero", "è vero", "che bello"}
    | {"corretto", "infatti", "bello", "molto bene", "ah davvero"}
    | {"que bom", "fantástico", "maravilhoso", "interessante", "sério", "é verdade", "correto", "que legal", "bacana"}
    | {"ah zo", "dat klopt", "leuk", "fijn", "wat leuk", "geweldig", "fantastisch", "echt waar", "correct", "ach zo"}
    | {"tabi", "çok güzel", "gerçekten mi", "muhteşem", "mükemmel", "ilginç", "öyleymiş", "ne güzel"}
    # who hesitates has not begun to say anything
    | {"er", "erm", "eh", "ehm", "well", "öh", "öhm", "tja", "naja", "pues", "ben", "bah", "beh", "boh", "nou"}
    | {"şey", "yani", "eee", "ııı"}
    # Chinese, Japanese
    | {"嗯", "好", "的", "对", "是", "は", "い", "う", "ん", "え"}
)
"""Words and phrases that say no more than "go on": a sound of nothing but these does not interrupt."""
FAREWELLS = frozenset(
    {"bye", "goodbye", "good bye", "see you", "see you later", "take care", "you too", "good night", "cheers"}
    | {"have a nice day", "have a good day", "have a good one", "thanks for your help", "for your help", "so much"}
    | {"tschüss", "tschüs", "tschau", "ciao", "wiederhören", "auf wiederhören", "auf wiedersehen", "ebenfalls"}
    | {"schönen tag", "schönen tag noch", "einen schönen tag", "bis dann", "bis bald", "gleichfalls"}
    | {"adiós", "hasta luego", "hasta pronto", "chao", "buen día", "igualmente", "que tenga buen día"}
    | {"au revoir", "bonne journée", "à bientôt", "bonne soirée", "salut", "à vous aussi"}
    | {"arrivederci", "buona giornata", "buona serata", "a presto", "altrettanto"}
    | {"tchau", "até logo", "até já", "adeus", "bom dia", "igualmente", "boa tarde"}
    | {"doei", "dag", "tot ziens", "fijne dag", "fijne dag nog", "tot snel", "hetzelfde"}
    | {"hoşça kal", "hoşça kalın", "görüşürüz", "iyi günler", "iyi akşamlar", "güle güle", "size de"}
)
"""What is said to an agent that says goodbye and hangs up."""
STOPS = frozenset(
    {"stop", "wait", "halt", "quiet", "silence", "enough", "shush", "hold on", "hold it", "hang on", "shut up"}
    | {"one moment", "one second", "just a moment", "just a second", "a moment", "a second", "pause"}
    | {"stopp", "warte", "warten", "moment", "einen moment", "ruhe", "genug", "stille", "pst", "aufhören"}
    | {"hör auf", "hören sie auf"}
    | {"alto", "espera", "espere", "basta", "silencio", "pare", "cállate", "detente", "un momento", "un segundo"}
    | {"arrête", "arrêtez", "attends", "attendez", "assez", "chut", "un instant", "un moment", "une seconde"}
    | {"ferma", "fermati", "fermo", "si fermi", "aspetta", "aspetti", "silenzio", "zitto", "zitta", "un attimo"}
    | {"chega", "silêncio", "calma", "peraí", "um momento", "um instante", "um segundo"}
    | {"wacht", "genoeg", "stilte", "stil", "ophouden", "hou op", "momentje", "een moment"}
    | {"dur", "durun", "bekle", "bekleyin", "yeter", "sus", "susun", "bir dakika", "bir saniye"}
    | {"停", "等", "止"}
)
"""Words by which people ask for silence: they are taken for what they are however short they are."""
MOST_WORDS = 4
"""Words of an acknowledgement at most."""
SHORTEST = 3
"""Letters of a word that is hardly there by chance."""
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
    # an answer to a question takes words of it, but not in their place
    chosen = asked and not guessed and delay_s is None and _out_of_place(heard, played, echoed)
    # "stop" over the agent's voice is no part of it, unless the agent has just said so itself
    stops = asks_for_silence([w for i, w in enumerate(heard) if i not in echoed]) and not asks_for_silence(played)
    mostly = sum(len(heard[i].text) for i in echoed) >= share * letters
    if echoed and mostly and not chosen and not stops:
        return Weighed("echo", len(echoed), behind_s)
    meant = _meant([w.text for w in heard], acknowledgements, goes_on=guessed)
    if not meant:
        return Weighed("acknowledgement")
    return Weighed("speech" if meant >= min_words else "noise")


def asks_for_silence(words: Sequence[TimedWord]) -> bool:
    """Whether a word among them asks the agent to stop."""
    texts = [word.text for word in words]
    return any(
        " ".join(texts[at:end]) in STOPS
        for at in range(len(texts))
        for end in range(at + 1, min(len(texts), at + MOST_WORDS) + 1)
    )


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
        if goes_on and any(phrase.startswith(begun) for phrase in acknowledgements):
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


def _out_of_place(heard: Sequence[TimedWord], played: Sequence[TimedWord], echoed: frozenset[int]) -> bool:
    """Whether a word is one of the agent's, but came at another time than its echo."""
    said = {word.text for word in played}
    return any(i not in echoed and len(word.text) >= SHORTEST and word.text in said for i, word in enumerate(heard))


def _alike(a: str, b: str) -> bool:
    """Equal, or the beginning of one another: the end of what is under way is often cut off."""
    return a == b or (min(len(a), len(b)) >= PREFIX and (a.startswith(b) or b.startswith(a)))

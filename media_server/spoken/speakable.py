"""What is said for each word of a written text, by rules for signs, numbers and abbreviations. Pure."""

from __future__ import annotations

import re
import unicodedata

from media_server.plain import plain
from media_server.spoken.edits import Edits
from media_server.spoken.language import Language, language_of
from media_server.spoken.markup import Block, Unsaid, blocks, inline
from media_server.spoken.rules import NUMERIC, RULES
from media_server.spoken.suffixes import suffixed

__all__ = ["speakable"]

_DISGUISED = re.compile(
    "[\u2160-\u217f\u2460-\u2473\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\u02b0-\u02b8\u1d2c-\u1d6a\U0001d400-\U0001d7ff]"
)
"""Letters and digits in another form: `Ⅳ`, `①`, `𝐛𝐨𝐥𝐝`, `10ᵗʰ`."""
_MISTYPED_DEGREE = re.compile(r"(?<=\d)[º˚](?=C\b|F\b)|(?<=\d[ \u00a0])[º˚](?=C\b|F\b)")


def speakable(text: str, voice: str = "en") -> tuple[tuple[str, str], ...]:
    """(written word, what is said for it) for each word of a text; nothing is said for marks and emoji.

    Args:
        voice: the language of the voice by espeak-ng's name, such as `en-us`. In a language without a file of its own
            the text is left to the phonemizer, without what is only for the eye.
    """
    if isinstance(text, Unsaid):
        return tuple((word, "") for word in plain(text).split())
    language = language_of(voice)
    return tuple(word for block in blocks(plain(text)) for word in _words(block, language))


def _words(block: Block, language: Language | None) -> list[tuple[str, str]]:
    if block.kind != "text":
        written = block.text.split()
        said = language.word(block.kind) if language else ""
        return [(word, "" if i else said) for i, word in enumerate(written)]
    text = inline(block.text)
    # the sign of ordinals is often typed for that of degrees
    composed = unicodedata.normalize("NFC", text)
    if not composed.isascii():
        composed = _DISGUISED.sub(lambda m: unicodedata.normalize("NFKC", m[0]), composed)
    edits = Edits(_MISTYPED_DEGREE.sub("°", composed))
    if language:
        has_figures = any(map(str.isnumeric, edits.text))
        for rule in RULES:
            if has_figures or rule not in NUMERIC:
                rule(edits, language)
    words = list(zip(text.split(), edits.words(), strict=True))
    if language and language.code == "tr":
        return [(word, suffixed(spoken, word)) for word, spoken in words]
    return words

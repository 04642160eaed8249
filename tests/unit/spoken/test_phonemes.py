"""What espeak-ng makes of what is said: the same as of the words written out."""

from __future__ import annotations

import unicodedata

import pytest
from piper.phonemize_espeak import EspeakPhonemizer

from media_server.spoken import speakable

ESPEAK = EspeakPhonemizer()


def phonemes(voice: str, text: str) -> str:
    # where a number is put together, stress and joints differ from those of words
    return "".join(p for sentence in ESPEAK.phonemize(voice, text) for p in sentence if p not in "ˈˌ ,.ʲ")


@pytest.mark.parametrize(
    ("voice", "text", "words"),
    [
        ("en-us", "5*3=15", "five times three equals fifteen"),
        ("en-us", "5G and 4G plans", "five G and four G plans"),
        ("en-us", "-$5", "minus five dollars"),
        ("en-us", "9 a.m.", "nine A.M."),
        ("en-us", "AB-12345", "A, B, one, two, three, four, five"),
        ("de", "-5 °C", "minus fünf Grad Celsius"),
        ("de", "am 3. Mai", "am dritten Mai"),
        ("es", "-5 °C", "menos cinco grados Celsius"),
        ("fr", "-5 °C", "moins cinq degrés Celsius"),
        ("it", "5 * 3", "cinque per tre"),
        ("pt-br", "-5 °C", "menos cinco graus Celsius"),
        ("nl", "5 * 3", "vijf keer drie"),
        ("tr", "%5", "yüzde beş"),
        ("tr", "-5 °C", "eksi beş derece"),
    ],
)
def test_the_phonemizer_reads_it_as_its_words(voice: str, text: str, words: str) -> None:
    said = " ".join(s for _, s in speakable(text, voice) if s)
    assert phonemes(voice, said) == phonemes(voice, words)
    assert phonemes(voice, text) != "" != phonemes(voice, said)


@pytest.mark.parametrize("voice", ["hi", "vi", "sv"])
@pytest.mark.parametrize("text", ["नमस्ते, आप कैसे हैं?", "Xin chào các bạn", "20 °C", "cafe\u0301"])
def test_other_languages_reach_the_phonemizer_without_loss(voice: str, text: str) -> None:
    said = " ".join(s for _, s in speakable(text, voice) if s)
    assert phonemes(voice, said) == phonemes(voice, unicodedata.normalize("NFC", text))

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
        ("en-us", "$20/mo", "twenty dollars per month"),
        ("en-us", "500 MB/s", "five hundred megabytes per second"),
        ("en-us", "CO2", "C O two"),
        ("en-us", "the 1990s", "the nineteen nineties"),
        ("en-us", "the 2,000th", "the two thousandth"),
        ("en-us", "code 4711", "code four seven one one"),
        ("en-us", "won 2:1", "won two to one"),
        ("en-us", "10/2=5", "ten divided by two equals five"),
        ("de", "PLZ 10115 Berlin", "PLZ eins null eins eins fünf Berlin"),
        ("de", "1 Mio. Euro", "eine Million Euro"),
        ("de", "die 1980er", "die neunzehnhundert achtziger"),
        ("de", "½ Stunde", "eine halbe Stunde"),
        ("de", "20 €/Std.", "zwanzig Euro pro Stunde."),
        ("es", "200 personas", "doscientas personas"),
        ("es", "21.000 libras", "veintiuna mil libras"),
        ("es", "3x", "tres veces"),
        ("fr", "20 €/h", "vingt euros par heure"),
        ("it", "5 €/h", "cinque euro all'ora"),
        ("it", "3° piano", "terzo piano"),
        ("pt-br", "502 páginas", "quinhentas e duas páginas"),
        ("nl", "80 km/u", "tachtig kilometer per uur"),
        ("nl", "1 °C", "één graad Celsius"),
        ("tr", "2024'ün", "iki bin yirmi dördün"),
        ("tr", "%-5", "yüzde eksi beş"),
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

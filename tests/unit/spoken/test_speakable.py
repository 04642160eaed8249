from __future__ import annotations

import re
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_server.spoken import LANGUAGES, clauses_of, speakable

TABLES = Path(__file__).parent / "said"
CASES = [
    (code, text, said)
    for code in LANGUAGES
    for text, said in tomllib.loads((TABLES / f"{code}.toml").read_text("utf-8"))["said"]
]


MARKED = re.compile(r"[&\[<_\\]|==|\$[a-zA-Z$]")
"""What is marked up: its words are not those of the text."""


def spoken(text: str, voice: str) -> str:
    return " ".join(s for _, s in speakable(text, voice) if s)


@pytest.mark.parametrize(("voice", "text", "said"), CASES, ids=[f"{code}: {text}" for code, text, _ in CASES])
def test_what_is_said(voice: str, text: str, said: str) -> None:
    assert spoken(text, voice) == said


@pytest.mark.parametrize("code", LANGUAGES)
def test_each_language_has_a_table_of_cases(code: str) -> None:
    assert len([c for c in CASES if c[0] == code]) >= 60


@pytest.mark.parametrize(("voice", "text"), [c[:2] for c in CASES], ids=[f"{c[0]}: {c[1]}" for c in CASES])
def test_the_written_words_stay(voice: str, text: str) -> None:
    # what markup leaves is said or silent, but each word is there, in order
    written = [w for w, _ in speakable(text, voice)]
    at = 0
    for word in written:
        found = text.find(word.strip("*_`~"), at)
        if MARKED.search(text):
            continue
        assert found >= 0, word
        at = found


def test_every_written_word_keeps_its_piece() -> None:
    assert speakable("Pay $5.50 😀 now.") == (
        ("Pay", "Pay"),
        ("$5.50", "5 dollars and 50 cents"),
        ("😀", ""),
        ("now.", "now."),
    )
    assert speakable("It costs $3.5 million.") == (
        ("It", "It"),
        ("costs", "costs"),
        ("$3.5", "3.5"),
        ("million.", "million dollars."),
    )
    assert speakable("Call (555) 123-4567.")[1:] == (("(555)", "5 5 5,"), ("123-4567.", "1 2 3, 4 5 6 7."))


@given(st.text(max_size=80), st.sampled_from([*LANGUAGES, "sv", ""]))
def test_any_text_has_a_form(text: str, voice: str) -> None:
    for written, said in speakable(text, voice):
        assert written
        assert said == said.strip()


@given(st.text(alphabet="019.,-–+/:$€%°()*^=<> kmGMhpa\nVIX#\"'", max_size=60), st.sampled_from(LANGUAGES))
def test_any_figures_have_a_form(text: str, voice: str) -> None:
    for written, said in speakable(text, voice):
        assert written
        assert said == said.strip()


@pytest.mark.parametrize("voice", ["en-us", "de", "sv", ""])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x\0y", "x y"),
        ("\x1b[31mred\x07 \ud800 now", "[31mred now"),
        ("a\u2028b\u2029c", "a b c"),
        ("\ufeffhello \u202eworld\u202c", "hello world"),
        ("e\u0301te\u0301", "été"),
        ("Z" + "\u0301" * 400, "Ź\u0301\u0301\u0301\u0301"),
        ("हिन्दी में", "हिन्दी में"),
        ("नमस्ते, आप कैसे हैं?", "नमस्ते, आप कैसे हैं?"),
        ("தமிழ் மொழி", "தமிழ் மொழி"),
        ("สวัสดีครับ ที่นี่", "สวัสดีครับ ที่นี่"),
        ("Xin cha\u0300o", "Xin chào"),
        ("Scho\u0308ne", "Schöne"),
        ("مَرْحَبًا", "مَرْحَبًا"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d👩\u200d👧 ❤\ufe0f ok 👍🏽 5\ufe0f\u20e3", "ok 5"),
    ],
)
def test_what_is_no_text_is_not_said(text: str, said: str, voice: str) -> None:
    assert spoken(text, voice) == said
    "".join(w for pair in speakable(text, voice) for w in pair).encode()


@pytest.mark.parametrize("text", ["20 °C", "5°", "20 %", "$5", "Dr. Ek", "3.14"])
def test_what_a_phonemizer_knows_reaches_it_in_other_languages(text: str) -> None:
    assert spoken(text, "sv") == text


HOSTILE = {
    "marks": "!" * 4000,
    "digits": "1" * 10_000,
    "digits apart": "1 " * 5000,
    "dotted digits": "1.2." * 2500,
    "combining": "e" + "\u0301" * 10_000,
    "stars": "*" * 10_000,
    "starred": "*a" * 5000,
    "underscored": "_a " * 3300,
    "brackets": "[" * 10_000,
    "links": "[a](" * 2500,
    "parens": "(1" * 5000,
    "fences": "```\n" * 2500,
    "bars": "|a|\n" * 2500,
    "lines": "\n" * 10_000,
    "short lines": "a\n" * 5000,
    "numbered": "1. a\n" * 2000,
    "dots": "a." * 5000,
    "slashes": "1/" * 5000,
    "dashes": "1-" * 5000,
    "dollars": "$1" * 5000,
    "roman": "IX" * 5000,
    "entities": "&amp;" * 2000,
    "tags": "<b " * 3300,
    "address": "https://" + "a." * 5000,
    "mail": "a@" * 5000,
    "letters": "a" * 10_000,
    "capitals": "A1-" * 3300,
    "spaces": " " * 10_000,
    "plus": "+1 (" * 2500,
}


@pytest.mark.parametrize("voice", ["en", "de", "tr", ""])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_text_takes_long(text: str, voice: str) -> None:
    began_s = time.process_time()
    speakable(text, voice)
    clauses = clauses_of(text, voice)
    for clause in clauses:
        speakable(clause, voice)
    assert time.process_time() - began_s < 2.0

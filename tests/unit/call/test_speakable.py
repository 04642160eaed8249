from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_server.call.speakable import speakable


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hello there, how are you?", "Hello there, how are you?"),
        ("It costs $5.50.", "It costs 5 dollars and 50 cents."),
        ("£1 or €0.99!", "1 pound or 99 cents!"),
        ("At 10:30, or 9:05pm?", "At 10 30, or 9 oh 5 p m?"),
        ("We open at 9:00.", "We open at 9 o’clock."),
        ("On 2026-11-21.", "On November 21, 2026."),
        ("Dr. Smith vs. Mr. Jones", "Doctor Smith versus Mister Jones"),
        ("It is 5 km, 20% more, at 21 °C.", "It is 5 kilometres, 20 percent more, at 21 degrees."),
        ("It is 5km.", "It is 5 kilometres."),
        ("Call 555-1234.", "Call 5 5 5 1 2 3 4."),
        ("Pages 10-12", "Pages 10 to 12"),
        ("Order #42", "Order number 42"),
        ("**Bold** and `code` and _this_", "Bold and code and _this_"),
        ("- one\n- two", "one two"),
        ("1. First\n2. Second", "First Second"),
        ("# A title", "A title"),
        ("See [the page](https://example.org/a).", "See the page."),
        ("Write to ann@example.org or www.example.com/x", "Write to ann at example dot org or example dot com"),
        ("Great 😀 work ❤️!", "Great work !"),
        ("Is it on/off & done?", "Is it on or off and done?"),
    ],
)
def test_what_is_said(text: str, said: str) -> None:
    assert " ".join(s for _, s in speakable(text) if s) == said


def test_every_written_word_keeps_its_piece() -> None:
    assert speakable("Pay $5.50 😀 now.") == (
        ("Pay", "Pay"),
        ("$5.50", "5 dollars and 50 cents"),
        ("😀", ""),
        ("now.", "now."),
    )


@given(st.text(max_size=60))
def test_any_text_has_a_form(text: str) -> None:
    for written, said in speakable(text):
        assert written
        assert said == said.strip()


@pytest.mark.parametrize("english", [True, False])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x\0y", "x y"),
        ("\x1b[31mred\x07 \ud800 now", "31mred now"),
        ("a\u2028b\u2029c", "a b c"),
        ("\ufeffhello \u202eworld\u202c", "hello world"),
        ("e\u0301te\u0301", "été"),
        ("Z" + "\u0301" * 400, "Ź\u0301\u0301\u0301\u0301"),
        ("हिन्दी में", "हिन्दी में"),
        ("مَرْحَبًا", "مَرْحَبًا"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d👩\u200d👧 ❤\ufe0f ok", "ok"),
    ],
)
def test_what_is_no_text_is_not_said(text: str, said: str, english: bool) -> None:
    words = speakable(text, english)
    assert " ".join(s for _, s in words if s).replace("[", "") == said
    "".join(w for pair in words for w in pair).encode()

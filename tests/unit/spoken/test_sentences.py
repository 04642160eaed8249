"""What is left of a text that a limit cut: whole sentences."""

from __future__ import annotations

import pytest

from media_server.spoken import ends_between, whole_sentences


@pytest.mark.parametrize(
    ("voice", "text", "whole"),
    [
        ("en", "It is open. It closes at", "It is open."),
        ("en", "It is open. You should see Dr.", "It is open."),
        ("en", "It is open. It closes at 5 p.m.", "It is open."),
        ("en", "It costs 5. The other", "It costs 5."),
        ("en", "There are three:\n1. Ham\n2.", ""),
        ("en", "We have these. There are three:\n1.", "We have these."),
        ("en", "It is 3.14 and", ""),
        ("en", 'She said "yes." Then', 'She said "yes."'),
        ("en", "Really?! And", "Really?!"),
        ("de", "Gern. Wir sehen uns am 3. Mai um", "Gern."),
        ("de", "Gern. Das kostet z. B.", "Gern."),
        ("ja", "はい。それは", "はい。"),
        ("hi", "नमस्ते। आप कैसे", "नमस्ते।"),
        ("ar", "هل تريد؟ نعم", "هل تريد؟"),
        ("en", "no end at all", ""),
        ("en", "", ""),
    ],
)
def test_whole_sentences(voice: str, text: str, whole: str) -> None:
    assert whole_sentences(text, voice) == whole


@pytest.mark.parametrize(
    ("voice", "before", "after", "ends"),
    [
        ("en", "It is open.", " It", True),
        ("en", "It is 3.", "14", False),
        ("en", "See Dr.", " Smith", False),
        ("en", "Hello", " there", False),
        ("en", "", " there", False),
        ("ja", "はい。", "それ", True),
        ("hi", "नमस्ते।", "आप", True),
    ],
)
def test_whether_a_sentence_ends_between_two_pieces(voice: str, before: str, after: str, ends: bool) -> None:
    assert ends_between(before, after, voice) == ends

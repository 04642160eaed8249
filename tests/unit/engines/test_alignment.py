from __future__ import annotations

import pytest

from media_server.engines.alignment import SpokenToken, ends_of

OF, THE, CAT, YEAR, NOTHING = (
    SpokenToken(2, 1),
    SpokenToken(2, 1),
    SpokenToken(3, 1, stops=True),
    SpokenToken(20, 4),
    SpokenToken(0, 0),
)


def spoken(tokens: list[SpokenToken], *sentences: str) -> list[str]:
    """What of the sentences each token has, by `ends_of`."""
    out, sentence, start = [], 0, 0
    for end in ends_of(tokens, [list(s) for s in sentences]):
        if end.sentence != sentence:
            sentence, start = end.sentence, 0
        out.append(sentences[sentence][start : end.at].strip())
        start = end.at
    return out


@pytest.mark.parametrize(
    ("tokens", "sentences", "expected"),
    [
        ([THE, CAT], ["ðə kat."], ["ðə", "kat."]),
        ([OF, THE, CAT], ["ʌvðə kat"], ["ʌv", "ðə", "kat"]),
        ([THE, YEAR, CAT], ["ðə twenti twenti fɔː ənd kat"], ["ðə", "twenti twenti fɔː ənd", "kat"]),
        ([THE, NOTHING, CAT], ["ðə kat"], ["ðə", "", "kat"]),
        ([CAT, THE, CAT], ["kat.", "ðə kat."], ["kat.", "ðə", "kat."]),
        ([CAT, OF, THE, CAT], ["kat.", "ʌvðə kat."], ["kat.", "ʌv", "ðə", "kat."]),
    ],
)
def test_each_word_has_its_phonemes(tokens: list[SpokenToken], sentences: list[str], expected: list[str]) -> None:
    assert spoken(tokens, *sentences) == expected


def test_one_may_not_cut_within_a_group() -> None:
    assert [e.free for e in ends_of([OF, THE, CAT], [list("ʌvðə kat")])] == [False, True, True]


def test_without_any_sound_words_end_nowhere() -> None:
    assert [e.at for e in ends_of([NOTHING, NOTHING], [])] == [0, 0]

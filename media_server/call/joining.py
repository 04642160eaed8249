"""Pieces of text joined as their script writes them: with a space between words, without one in Chinese. Pure."""

from __future__ import annotations

import re

__all__ = ["CHARACTER", "joined", "unspaced"]

CHARACTER = r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
"""Pattern of a letter of the scripts without spaces between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""
_IDEOGRAPHIC = re.compile(r"[\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff00-\uffef]")
"""What stands in Chinese and Japanese text, its punctuation included: no space comes before or after it."""
_UNSPACED = re.compile(CHARACTER)


def joined(*parts: str) -> str:
    """The parts that are not empty, with a space between two of them where their script has one."""
    text = ""
    for part in (each.strip() for each in parts):
        dense = text and part and _IDEOGRAPHIC.match(text[-1]) and _IDEOGRAPHIC.match(part[0])
        text += part if dense or not (text and part) else f" {part}"
    return text


def unspaced(word: str) -> bool:
    """Whether what counts as a word by its spaces may be a whole sentence: its script puts none between words."""
    return len(_UNSPACED.findall(word)) > 1

"""How inputs are damaged: texts by their lines, files by their bytes."""

from __future__ import annotations

import random

from hypothesis import strategies as st

__all__ = ["DAMAGE", "HARM", "damaged", "harmed"]

DAMAGE = st.tuples(st.integers(0, 2**32), st.integers(1, 6), st.text(max_size=40))
"""For `damaged`: a seed, how often, and what is put in."""
HARM = st.lists(st.tuples(st.integers(0, 2**32), st.binary(min_size=1, max_size=16)), min_size=1, max_size=8)
"""For `harmed`: places, and what stands there then."""


def damaged(text: str, seed: int, times: int, words: str) -> str:
    """Some of its lines dropped, doubled, cut, swapped, or with another number or word in them."""
    chance = random.Random(seed)
    lines = text.splitlines()
    for _ in range(times):
        i, j = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(8):
            case 0:
                lines[i] = ""
            case 1:
                lines.insert(i, lines[j])
            case 2:
                lines[i] = lines[i][: chance.randrange(len(lines[i]) + 1)]
            case 3:
                lines[i], lines[j] = lines[j], lines[i]
            case 4:
                lines[i] = lines[i][:2] + words
            case 5:
                parts = lines[i].split(" ")
                parts[chance.randrange(len(parts))] = str(chance.choice([-1, 0, 1, 255, 65535, 65536, 2**31, 2**64]))
                lines[i] = " ".join(parts)
            case 6:
                lines[i] = lines[i].replace(":", words, 1)
            case _:
                lines += [lines[i]] * chance.randrange(200)
        lines = lines or [""]
    return "\r\n".join(lines)


def harmed(whole: bytes, harm: list[tuple[int, bytes]]) -> bytes:
    """Some bytes at the beginning, where the head is, or anywhere, overwritten; or the end cut off."""
    data = bytearray(whole)
    for at, piece in harm:
        if at % 5 == 0:
            del data[at % (len(data) + 1) :]
        else:
            start = at % min(len(data) or 1, 4096 if at % 2 else len(data) or 1)
            data[start : start + len(piece)] = piece
    return bytes(data)

"""How well something was done, as one number."""

from __future__ import annotations

import numpy as np


def word_errors(said: str, heard: str) -> tuple[int, int]:
    """Levenshtein distance in words, and the number of words said."""
    a, b = said.split(), heard.split()
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1], len(a)


def auc(high: np.ndarray, low: np.ndarray) -> float:
    """Probability that one of `high` is above one of `low`."""
    if not len(high) or not len(low):
        return float("nan")
    return float((high[:, None] > low[None]).mean() + (high[:, None] == low[None]).mean() / 2)

"""What llama.cpp's memory holds of each conversation, and how a new prompt makes the most of it.

Attention keeps keys and values of every token, so a conversation can be cut anywhere and continued. A recurrent state
cannot be cut: it is saved at a few places (`Checkpoint`) and put back. Which kind a model has is found out by trying.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import llama_cpp as lib
import numpy as np

__all__ = ["Cache", "Cached", "Keeping", "common"]

Keeping = Literal["cut", "saved", "continued"]
"""How much of a conversation can be used again: any beginning of it, all of it or a saved state, or only all of it."""

MAX_CHECKPOINTS = 4
"""Saved states of one conversation."""
MIN_SAVED = 24
"""Tokens that a saved state has to be ahead of the one before."""
_ALIKE = 0.999
"""Cosine of logits from which on they are the same, but for the order of additions."""


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """A recurrent state behind the first `length` tokens of a conversation."""

    length: int
    state: bytes


@dataclass(slots=True)
class Cached:
    """A sequence of the context, and the tokens that are in it."""

    seq: int
    tokens: list[int] = field(default_factory=list)
    checkpoints: list[_Checkpoint] = field(default_factory=list)


class Cache:
    """The memory of one context, shared by its sequences."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._memory = lib.llama_get_memory(context)
        self.keeping: Keeping = "cut"

    @property
    def summary(self) -> str:
        """What is kept between turns, for the log."""
        return {
            "cut": "turns so far are kept",
            "saved": "turns so far are kept in saved states",
            "continued": "turns so far are kept only while a conversation goes straight on",
        }[self.keeping]

    def usable(self, cached: Cached, wanted: list[int]) -> int:
        """How many of these tokens need not be computed, from what a sequence holds."""
        n = common(cached.tokens, wanted)
        if self.keeping == "cut" or n == 0:
            return n
        if n == len(cached.tokens):
            return n
        return max((c.length for c in cached.checkpoints if c.length <= n), default=0)

    def reuse(self, cached: Cached, others: Sequence[Cached], wanted: list[int]) -> None:
        """Keep what a sequence holds of these tokens, or take over what another one does if that is more."""
        best = max(others, key=lambda c: (self.usable(c, wanted), c is cached))
        n = self.usable(best, wanted)
        if best is not cached:
            self.clear(cached)
            if n == 0:
                return
            until = n if self.keeping == "cut" else -1
            lib.llama_memory_seq_cp(self._memory, best.seq, cached.seq, 0 if self.keeping == "cut" else -1, until)
            cached.tokens = best.tokens[:n] if self.keeping == "cut" else list(best.tokens)
            cached.checkpoints = list(best.checkpoints)
        self._cut(cached, n)

    def _cut(self, cached: Cached, keep: int) -> None:
        """Cut a sequence to its first `keep` tokens; where that cannot be done, it is emptied."""
        if keep >= len(cached.tokens):
            return
        if keep == 0:
            self.clear(cached)
            return
        if self.keeping != "cut":
            saved = next(c for c in cached.checkpoints if c.length == keep)
            if not self._put_back(cached.seq, saved.state):
                self.clear(cached)
                return
        if not lib.llama_memory_seq_rm(self._memory, cached.seq, keep, -1):
            self.clear(cached)
            return
        del cached.tokens[keep:]
        cached.checkpoints = [c for c in cached.checkpoints if c.length <= keep]

    def clear(self, cached: Cached) -> None:
        """Empty a sequence."""
        if cached.tokens:
            lib.llama_memory_seq_rm(self._memory, cached.seq, -1, -1)
        cached.tokens = []
        cached.checkpoints = []

    def tidy(self, cached: Cached) -> None:
        """Take out what a step that failed may have left behind a sequence's tokens."""
        if not lib.llama_memory_seq_rm(self._memory, cached.seq, len(cached.tokens), -1):
            self.clear(cached)

    def clear_all(self) -> None:
        """Empty the memory of all sequences."""
        lib.llama_memory_clear(self._memory, True)

    def branch(self, cached: Cached, others: Sequence[Cached], wanted: list[int]) -> int:
        """Where a state should be saved while these tokens are computed: where another conversation went its own way.

        0 for nowhere.
        """
        if self.keeping != "saved":
            return 0
        n = max(common(c.tokens, wanted) for c in others)
        return n if n >= len(cached.tokens) + MIN_SAVED else 0

    def save(self, cached: Cached) -> None:
        """Save the state behind the tokens that a sequence has now, if it will be needed to come back to them."""
        length = len(cached.tokens)
        last = cached.checkpoints[-1].length if cached.checkpoints else 0
        if self.keeping != "saved" or length < last + MIN_SAVED:
            return
        state = self._state(cached.seq)
        if not state:
            return
        # the first one is where conversations begin alike; of the others the oldest leaves
        kept = cached.checkpoints
        if len(kept) >= MAX_CHECKPOINTS:
            del kept[1]
        kept.append(_Checkpoint(length, state))

    def _state(self, seq: int) -> bytes:
        """What of a sequence cannot be cut; empty if it cannot be had."""
        flags = lib.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY
        size = lib.llama_state_seq_get_size_ext(self._context, seq, flags)
        buffer = (ctypes.c_uint8 * size)()
        written = lib.llama_state_seq_get_data_ext(self._context, buffer, size, seq, flags)
        return bytes(buffer) if written == size else b""

    def _put_back(self, seq: int, state: bytes) -> bool:
        flags = lib.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY
        buffer = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        return bool(lib.llama_state_seq_set_data_ext(self._context, buffer, len(state), seq, flags))

    # what the memory can do

    def find_out(self, tokens: list[int], vocabulary: int) -> Keeping:
        """Try with two turns what of a conversation can be used again.

        Args:
            tokens: some text of at least 16 tokens.
            vocabulary: size of the model's.
        """
        half = len(tokens) // 2
        first, second = tokens[:half], tokens[half:]
        self.clear_all()
        fresh = self._logits(tokens, 0, vocabulary)
        self.clear_all()
        self._logits(first, 0, vocabulary)
        if self._comes_back(len(first), second, fresh, vocabulary):
            self.keeping = "cut"
        else:
            self.clear_all()
            self._logits(first, 0, vocabulary)
            saved = self._state(0)
            returns = self._comes_back(len(first), second, fresh, vocabulary, saved)
            self.keeping = "saved" if returns else "continued"
        self.clear_all()
        return self.keeping

    def _comes_back(self, at: int, tokens: list[int], fresh: Any, vocabulary: int, saved: bytes | None = None) -> bool:
        """Whether a conversation that went another way can be cut, or put back, and go on as if it never had."""
        self._logits(tokens[::-1], at, vocabulary)
        if saved is not None and not self._put_back(0, saved):
            return False
        cut = lib.llama_memory_seq_rm(self._memory, 0, at, -1)
        return bool(cut) and _alike(fresh, self._logits(tokens, at, vocabulary))

    def _logits(self, tokens: list[int], at: int, vocabulary: int) -> Any:
        """The logits behind tokens that are put at a place of the first sequence; None if they cannot be."""
        batch = lib.llama_batch_init(len(tokens), 0, 1)
        try:
            for i, token in enumerate(tokens):
                batch.token[i], batch.pos[i] = token, at + i
                batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
                batch.logits[i] = i == len(tokens) - 1
            batch.n_tokens = len(tokens)
            if lib.llama_decode(self._context, batch) != 0:
                return None
            found = lib.llama_get_logits_ith(self._context, len(tokens) - 1)
            return np.ctypeslib.as_array(found, (vocabulary,)).astype(np.float64)
        finally:
            lib.llama_batch_free(batch)


def _alike(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return False
    a, b = a - a.mean(), b - b.mean()
    return bool(a @ b >= _ALIKE * np.sqrt((a @ a) * (b @ b)))


def common(a: list[int], b: list[int]) -> int:
    """Length of the beginning that both have; by slices, since this is asked of long prompts in every step."""
    same, differ = 0, min(len(a), len(b)) + 1
    while differ - same > 1:
        middle = (same + differ) // 2
        if a[same:middle] == b[same:middle]:
            same = middle
        else:
            differ = middle
    return same

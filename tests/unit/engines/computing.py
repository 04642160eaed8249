"""Counting what llama.cpp computes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from unittest.mock import patch

import llama_cpp

__all__ = ["Computed", "counted"]


@dataclass
class Computed:
    """How many tokens were computed so far."""

    tokens: int = 0


@contextlib.contextmanager
def counted() -> Iterator[Computed]:
    """Count the tokens of every batch that is decoded inside."""
    computed = Computed()
    decode = llama_cpp.llama_decode

    def counting(context: object, batch: llama_cpp.llama_batch) -> int:
        computed.tokens += batch.n_tokens
        return int(decode(context, batch))

    with patch.object(llama_cpp, "llama_decode", counting):
        yield computed

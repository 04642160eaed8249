"""How the tokens of a reply are chosen: llama.cpp's samplers, one chain for each reply."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from typing import Any

import llama_cpp as lib

__all__ = ["sampler"]

_INT32_MAX = 2**31 - 1
TOP_K = 100
"""Likeliest tokens from which one is chosen; authors of models advise 20 to 64.

To sort a vocabulary of 150,000 for each token, of which `top_p` then leaves a few, took up to 16 ms; this takes 0.3 ms.
"""


def sampler(
    vocab: Any,
    temperature: float,
    top_p: float,
    seed: int,
    gbnf: str = "",
    begins: str = "",
    banned: Sequence[int] = (),
) -> Any | None:
    """A chain of samplers, to be freed by `llama_sampler_free`; None if the grammar cannot be read.

    Args:
        temperature: 0 for the likeliest token always.
        gbnf: a grammar that the reply has to follow from `begins` on, or from the start where that is empty.
        banned: tokens that it has not.
    """
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    if banned:
        biases = (lib.llama_logit_bias * len(banned))(*(lib.llama_logit_bias(t, float("-inf")) for t in banned))
        size = lib.llama_vocab_n_tokens(vocab)
        lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_logit_bias(size, len(banned), biases))
    if gbnf:
        grammar = _grammar(vocab, gbnf, begins)
        if not grammar:
            lib.llama_sampler_free(chain)
            return None
        lib.llama_sampler_chain_add(chain, grammar)
    if temperature == 0:
        lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_greedy())
    else:
        lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_top_k(TOP_K))
        lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_top_p(top_p, 1))
        lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_temp(temperature))
        lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_dist(seed & _INT32_MAX))
    return chain


def _grammar(vocab: Any, gbnf: str, begins: str) -> Any:
    if not begins:
        return lib.llama_sampler_init_grammar(vocab, gbnf.encode(), b"root")
    patterns = (ctypes.c_char_p * 1)(rf"[\s\S]*?({re.escape(begins)}[\s\S]*)".encode())
    return lib.llama_sampler_init_grammar_lazy_patterns(
        vocab, gbnf.encode(), b"root", patterns, 1, (lib.llama_token * 0)(), 0
    )

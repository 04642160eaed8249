"""Choosing tokens where the vocabulary is as large as real models' are."""

from __future__ import annotations

import llama_cpp as lib
import pytest

from bench.random_model import Shape, write_random_model
from media_server.engines import messages as m
from media_server.engines.llama import LARGE_VOCABULARY, LlamaEngine
from media_server.engines.sampling import TOP_K, sampler

SHAPE = Shape("qwen3moe", 256, 2, 4, 2, 256, 64, 512, vocabulary=LARGE_VOCABULARY, experts=4, experts_used=2)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> LlamaEngine:
    path = tmp_path_factory.mktemp("random") / "model.gguf"
    write_random_model(path, SHAPE)
    return LlamaEngine.load(path, context=256, slots=4, threads=2)


def answers(engine: LlamaEngine) -> list[list[int]]:
    """The tokens of four conversations that are answered at once, each from the beginning."""
    engine._cache.clear_all()
    for slot in engine._slots:
        slot.cache.tokens.clear()
        slot.call_id, slot.used = "", 0
    for i in range(4):
        engine.submit(m.Generate(100 + i, f"call {i}", (m.ChatMessage("user", f"hello {i}"),), 12))
    while engine.busy:
        assert not [r for r in engine.step() if isinstance(r, m.Failed)]
    return [slot.cached.copy() for slot in sorted(engine._slots, key=lambda s: s.call_id) if slot.call_id]


def test_tokens_that_are_chosen_at_a_time_are_those_chosen_one_by_one(engine: LlamaEngine) -> None:
    at_a_time, engine._drawing = engine._drawing, None
    assert at_a_time is not None
    one_by_one = answers(engine)
    engine._drawing = at_a_time
    assert answers(engine) == one_by_one
    assert len({tuple(tokens[-8:]) for tokens in one_by_one}) == 4


def test_only_the_likeliest_tokens_are_sorted(engine: LlamaEngine) -> None:
    chain = sampler(engine._vocabulary.raw, 0.7, 1.0, 1)
    n = 1000
    data = (lib.llama_token_data * n)(*(lib.llama_token_data(i, 0.001 * i, 0.0) for i in range(n)))
    array = lib.llama_token_data_array(data, n, -1, False)
    lib.llama_sampler_apply(chain, array)
    assert array.size == TOP_K
    assert int(array.data[array.selected].id) >= n - TOP_K
    lib.llama_sampler_free(chain)

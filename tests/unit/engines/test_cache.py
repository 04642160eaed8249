"""What is kept of a conversation between turns, for every way in which a model remembers: less work, the same words."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import llama_cpp
import pytest

from media_server.engines import messages as m
from media_server.engines.cache import Cache
from media_server.engines.llama import LlamaEngine
from tests.small_models import Kind, write_small_model
from tests.unit.engines.computing import counted

KEPT = {"attention": "cut", "sliding": "cut", "recurrent": "saved", "hybrid": "saved"}
PROMPT = m.ChatMessage("system", "You are a helpful voice assistant. " + "Be concise and warm. " * 12)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    kinds: tuple[Kind, ...] = ("attention", "sliding", "recurrent", "hybrid")
    for kind in kinds:
        write_small_model(folder / f"{kind}.gguf", kind)
    return folder


def load(models: Path, kind: str) -> LlamaEngine:
    return LlamaEngine.load(models / f"{kind}.gguf", context=1024, slots=3, temperature=0)


def ask(i: int, call: str, *said: str, tokens: int = 8) -> m.Generate:
    turns = (m.ChatMessage("assistant" if k % 2 else "user", s) for k, s in enumerate(said))
    return m.Generate(i, call, (PROMPT, *turns), tokens)


def answer(engine: LlamaEngine, *requests: m.Generate | m.PredictEndOfTurn) -> tuple[list[tuple[int, str]], int]:
    """What comes of these requests at once, and how many tokens were computed for it."""
    for request in requests:
        engine.submit(request)
    out: list[tuple[int, str]] = []
    with counted() as computed:
        while engine.busy:
            for r in engine.step():
                assert not isinstance(r, m.Failed), r
                out.append(
                    (r.id, f"{r.probability:.4f}" if isinstance(r, m.EndOfTurnProbability) else getattr(r, "text", ""))
                )
    text = {i: "".join(t for k, t in out if k == i) for i, _ in out}
    return sorted(text.items()), computed.tokens


@pytest.mark.parametrize("kind", KEPT)
def test_what_the_memory_of_a_model_can_do_is_found_out(models: Path, kind: str) -> None:
    engine = load(models, kind)
    assert engine._cache.keeping == KEPT[kind]
    assert ("saved states" in engine.info) == (KEPT[kind] == "saved")


@pytest.mark.parametrize("keeping", ["as found", "continued"])
@pytest.mark.parametrize("kind", KEPT)
def test_what_is_kept_changes_nothing_of_what_is_said(models: Path, kind: str, keeping: str) -> None:
    engine, fresh = load(models, kind), load(models, kind)
    if keeping == "continued":
        engine._cache.keeping = "continued"
    story: list[list[m.Generate | m.PredictEndOfTurn]] = [
        [ask(1, "a", "hello there my friend")],
        [ask(2, "b", "what can you do for me today")],
        [ask(3, "a", "hello there my friend", "hi", "and now")],
        [m.PredictEndOfTurn(4, "a", ask(4, "a", "hello there my friend", "hi", "and now", "yes", "what is").messages)],
        [ask(5, "a", "hello there my friend", "hi", "and now", "yes", "what is the time", tokens=5)],
        [ask(6, "c", "hello there my friend", "hi", "something else"), ask(7, "d", "hello there my friend")],
        [ask(8, "e", "a fifth call of three slots"), ask(9, "b", "what can you do for me today", "all", "all right")],
        [ask(10, "a", "the beginning has left", "so it is", "and now")],
    ]
    for requests in story:
        alone = []
        for request in requests:
            fresh._cache.clear_all()
            for slot in fresh._slots:
                slot.cache.tokens, slot.cache.checkpoints = [], []
            alone += answer(fresh, request)[0]
        assert answer(engine, *requests)[0] == alone


@pytest.mark.parametrize("kind", KEPT)
def test_a_turn_computes_what_is_new_and_a_call_what_no_other_has(models: Path, kind: str) -> None:
    engine = load(models, kind)
    _, first = answer(engine, ask(1, "a", "hello"))
    (_, said), *_ = answer(engine, ask(2, "a", "hello"))[0]
    _, second = answer(engine, ask(3, "a", "hello", said, "and how are you"))
    assert second < first / 2
    # the second call shows where calls begin alike, so the third one has it
    answer(engine, ask(4, "b", "what can you do"))
    _, third = answer(engine, ask(5, "c", "sing me a song"))
    assert third < first / 2


def test_a_memory_that_refuses_to_be_cut_is_emptied_and_computed_anew(models: Path) -> None:
    engine, fresh = load(models, "hybrid"), load(models, "hybrid")
    engine._cache.keeping = "cut"  # as if the probe had been wrong
    for i, words in enumerate(["hello there", "hello you there", "what"]):
        assert answer(engine, ask(i, "a", words))[0] == answer(fresh, ask(i, f"{i}", words))[0]


def test_a_batch_that_fails_is_tried_one_by_one(models: Path) -> None:
    engine = load(models, "attention")
    decode = llama_cpp.llama_decode

    def refusing(context: object, batch: llama_cpp.llama_batch) -> int:
        bad = any(batch.seq_id[i][0] == 1 for i in range(batch.n_tokens))
        return 1 if bad else int(decode(context, batch))

    for i, words in enumerate(["one two three", "what can you do", "hello"]):
        engine.submit(m.Generate(i, f"call-{i}", (m.ChatMessage("user", words),), 8))
    results: list[m.Result] = []
    with patch.object(llama_cpp, "llama_decode", refusing):
        while engine.busy:
            results += engine.step()
    assert len([r for r in results if isinstance(r, m.Failed)]) == 1
    assert len([r for r in results if isinstance(r, m.Finished)]) == 2


def test_saved_states_are_few(models: Path) -> None:
    engine = load(models, "recurrent")
    said: list[str] = []
    for i in range(8):
        said.append(f"question number {i} of many, which is a little longer than a few tokens so that it is saved")
        ((_, text),) = answer(engine, ask(i, "a", *said))[0]
        said.append(text or "well")
    (slot,) = [s for s in engine._slots if s.call_id == "a"]
    assert 1 <= len(slot.cache.checkpoints) <= 4
    assert isinstance(engine._cache, Cache)


def test_a_template_that_leaves_no_room_fails_its_requests_and_nothing_else(tmp_path: Path) -> None:
    write_small_model(
        tmp_path / "m.gguf", "attention", "{{ 'word ' * 3000 }}{% for x in messages %}{{ x.content }}{% endfor %}"
    )
    engine = LlamaEngine.load(tmp_path / "m.gguf", context=1024, slots=1)
    engine.submit(ask(1, "a", "hello"))
    (failed,) = engine.step()
    assert isinstance(failed, m.Failed)
    assert failed.code == "prompt_too_long"
    assert not engine.busy

"""Embeddings: the starter chat model stands in for one, which is enough to see that texts come back as vectors."""

from __future__ import annotations

import numpy as np
import pytest

from media_server.engines import messages as m
from media_server.engines.embedding import AT_ONCE, EmbeddingEngine
from tests.conftest import STARTER

CHAT = STARTER / "chat" / "starter-chat.gguf"


@pytest.fixture(scope="module")
def engine() -> EmbeddingEngine:
    return EmbeddingEngine.load(CHAT, query_prefix="search: ", context=128)


def run(engine: EmbeddingEngine) -> dict[int, np.ndarray]:
    found = {}
    while engine.busy:
        for result in engine.step():
            if isinstance(result, m.Vectors):
                found[result.id] = np.frombuffer(result.vectors, np.float32)
    return found


def test_the_same_text_has_the_same_vector_of_length_one(engine: EmbeddingEngine) -> None:
    texts = ["turn on the light", "where is my order", "turn on the light"]
    a, b, c = engine.embed(texts)
    assert np.allclose(a, c, atol=1e-4)
    assert a @ b < 0.999
    assert all(abs(float(v @ v) - 1) < 1e-4 for v in (a, b, c))
    (long,) = engine.embed(["word " * 1000])
    assert np.isfinite(long).all(), "what is too long is cut"
    assert np.isfinite(engine.embed([""])[0]).all()


def test_questions_go_before_documents_and_what_is_withdrawn_stops(engine: EmbeddingEngine) -> None:
    many = tuple(f"document number {i}" for i in range(AT_ONCE * 2 + 1))
    engine.submit(m.Embed(1, many, query=False))
    list(engine.step())
    engine.submit(m.Embed(2, ("hello",), query=True))
    vectors, finished = engine.step()
    assert isinstance(vectors, m.Vectors)
    assert (vectors.id, finished.id) == (2, 2)
    assert np.allclose(np.frombuffer(vectors.vectors, np.float32), engine.embed(["search: hello"])[0], atol=1e-4)
    found = run(engine)
    assert found[1].reshape(len(many), -1).shape[0] == len(many)
    assert np.allclose(found[1].reshape(len(many), -1)[-1], engine.embed([many[-1]])[0], atol=1e-3)
    engine.submit(m.Embed(3, many, query=False))
    list(engine.step())
    engine.cancel(3)
    assert not engine.busy

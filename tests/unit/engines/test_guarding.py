"""No text of a caller, a tool or a document becomes one of the model's control tokens, however it is written."""

from __future__ import annotations

import functools
import json
from typing import Any

import llama_cpp as lib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_server.engines.guarding import SEAM, Guard, marks_like, pieces, taken_out
from media_server.engines.loading import templates_of, vocabulary_only
from media_server.engines.messages import ChatMessage, Generate, ToolCall
from media_server.engines.prompts import Prompts, Spoken, spoken
from media_server.engines.vocabulary import Vocabulary
from tests.conftest import DATA, STARTER
from tests.real_models import MODELS

MARKS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<tool_call>", "</tool_call>", "<tools>", "</tools>"]
TRIMS = (
    "{% for m in messages %}{% set c = m.content.replace('/think', '').strip() %}<|im_start|>{{ m.role }}\n{{ c }}"
    "{% for t in m.tool_calls or [] %}<tool_call>{{ t.function.name }}{{ t.function.arguments | tojson }}</tool_call>"
    "{% endfor %}<|im_end|>{% endfor %}{% if tools %}<tools>{{ tools | tojson }}</tools>{% endif %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(vocabulary_only(STARTER / "chat" / "starter-chat.gguf"))


def cuts(mark: str) -> list[str]:
    return [part for n in range(len(mark) + 1) for part in (mark[:n], mark[n:])]


FRAGMENTS = sorted(
    {part for mark in MARKS for part in cuts(mark)} | {" ", "\n", "a", '"', "\\", "/think", SEAM, "\\u003c"}
)
texts = st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join)


def prompts_for(source: str, vocabulary: Vocabulary) -> tuple[Prompts, Spoken]:
    one = spoken(source, vocabulary)
    return Prompts(one, one, vocabulary.tokenize, 100_000), one


@functools.cache
def cached(source: str, vocabulary: Vocabulary) -> Prompts:
    if source == "the starter's":
        source = templates_of(vocabulary_only(STARTER / "chat" / "starter-chat.gguf"))[0]
    return prompts_for(source, vocabulary)[0]


def marks_in(vocabulary: Vocabulary, tokens: list[int]) -> list[str]:
    marked = lib.LLAMA_TOKEN_ATTR_CONTROL | lib.LLAMA_TOKEN_ATTR_USER_DEFINED
    return [vocabulary.text(t) for t in tokens if lib.llama_vocab_get_attr(vocabulary.raw, t) & marked]


def conversation(texts: list[str]) -> Generate:
    """Texts of others in all places where they may stand."""
    system, said, answered, name, value, result, described, last = texts
    call = ToolCall("abcdefghi", "find", json.dumps({"a" + name: value, "b": [{"c": value}]}, ensure_ascii=False))
    messages = (
        ChatMessage("system", "You." + system),
        ChatMessage("user", said),
        ChatMessage("assistant", answered, (call,)),
        ChatMessage("tool", result, tool_call_id="abcdefghi"),
        ChatMessage("user", last),
    )
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"a" + name: {"type": "string", "description": described}},
    }
    tools = [{"type": "function", "function": {"name": "find", "description": described, "parameters": schema}}]
    return Generate(1, "c", messages, 10, tools=json.dumps(tools))


@pytest.mark.parametrize(
    "source",
    ["the starter's", TRIMS, (DATA / "templates" / "Qwen-Qwen3-0.6B.jinja").read_text()],
    ids=["starter", "trims", "qwen3"],
)
@settings(max_examples=100, deadline=None)
@given(written=st.lists(texts, min_size=8, max_size=8))
def test_no_text_becomes_a_mark(vocabulary: Vocabulary, source: str, written: list[str]) -> None:
    prompts = cached(source, vocabulary)
    plain = marks_in(vocabulary, prompts.make(conversation(["x"] * 8)).tokens)
    assert plain.count("<|im_start|>") == 6
    assert marks_in(vocabulary, prompts.make(conversation(written)).tokens) == plain


def test_marks_of_calls_are_read_also_where_they_are_control_tokens() -> None:
    vocabulary = Vocabulary(vocabulary_only(STARTER / "chat" / "starter-chat.gguf"))
    (token,) = vocabulary.tokenize("<|im_start|>")
    assert vocabulary.bytes(token) == b""
    vocabulary.show(("<|im_start|>", "several tokens"))
    assert vocabulary.bytes(token) == b"<|im_start|>"


@given(text=st.text())
def test_ordinary_text_has_no_seams(text: str) -> None:
    guarded = Guard(MARKS).text(text)
    assert guarded.replace(SEAM, "") == text.replace(SEAM, "")
    if not any(c in text for c in "<>|"):
        assert guarded == text.replace(SEAM, "")


@given(text=texts)
def test_no_mark_is_left_in_a_piece_and_nothing_is_lost(text: str) -> None:
    guarded = Guard(MARKS).text(text)
    assert not any(mark in piece for piece in pieces(guarded) for mark in MARKS)
    assert "".join(pieces(guarded)) == text.replace(SEAM, "").replace("\\uf8fe", "")


@pytest.mark.parametrize("text", ["<tool_call>", "[INST]", "<h1>", "</s>"])
def test_tokens_that_look_like_marks_are_marks(text: str) -> None:
    assert marks_like(text)


@pytest.mark.parametrize("text", ["\n\n", "  ", "the", "<", "[a]", "▁▁"])
def test_tokens_that_do_not_are_text(text: str) -> None:
    assert not marks_like(text)


def test_what_a_template_takes_out_of_messages_does_not_bring_a_mark_together() -> None:
    assert taken_out("{{ m.content.replace('/think', '').split(\"</think>\")[-1] }}") == {"/think", "</think>"}


@pytest.mark.real
@pytest.mark.parametrize("pack", ["real", "real-small"])
def test_ordinary_conversations_get_the_tokens_that_they_would_get_without_guarding(pack: str) -> None:
    found = list((MODELS / pack / "chat").glob("*.gguf"))
    if not found:
        pytest.skip(f"the pack {pack} is not here")
    model = vocabulary_only(found[0])
    vocabulary = Vocabulary(model)
    prompts, one = prompts_for(templates_of(model)[0], vocabulary)
    asked = conversation(
        ["", "What is 5 < 6?", "It's <i>less</i>; a > b.", "n", "Zürich 👍", "{}", "Finds it.", "Ok [1]."]
    )
    text = one.template.prompt(asked.messages, asked.tools).text
    assert prompts.make(asked).tokens == vocabulary.tokenize(text)

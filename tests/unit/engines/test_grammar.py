"""The grammar of calls: what it allows, and that llama.cpp can read it whatever a tool's schema holds."""

from __future__ import annotations

import json
import re
from typing import Any

import llama_cpp as lib
import pytest
from hypothesis import given, settings

from media_server.engines.grammar import LARGEST, call_grammar
from media_server.engines.llama import LlamaEngine
from media_server.engines.sampling import sampler
from tests.conftest import STARTER
from tests.strategies import SCHEMAS

HERMES = ("<tool_call>", "</tool_call>")


@pytest.fixture(scope="module")
def engine() -> LlamaEngine:
    return LlamaEngine.load(STARTER / "chat" / "starter-chat.gguf", context=512, slots=1, temperature=0)


def function(parameters: Any, name: str = "act") -> str:
    return json.dumps([{"type": "function", "function": {"name": name, "description": "", "parameters": parameters}}])


def allows(engine: LlamaEngine, gbnf: str, text: str) -> bool:
    """Whether llama.cpp reads the grammar and the text as a whole follows it."""
    grammar = lib.llama_sampler_init_grammar(engine._vocabulary.raw, gbnf.encode(), b"root")
    assert grammar, "llama.cpp cannot read the grammar"
    try:
        for token in [*engine._vocabulary.tokenize(text), lib.llama_vocab_eos(engine._vocabulary.raw)]:
            data = (lib.llama_token_data * 1)(lib.llama_token_data(token, 0.0, 0.0))
            array = lib.llama_token_data_array(data, 1, -1, False)
            lib.llama_sampler_apply(grammar, array)
            if data[0].logit == float("-inf"):
                return False
            lib.llama_sampler_accept(grammar, token)
        return True
    finally:
        lib.llama_sampler_free(grammar)


def test_what_is_banned_is_in_no_reply(engine: LlamaEngine) -> None:
    banned = engine._vocabulary.beginning(("{", "<tool"))
    texts = [engine._vocabulary.text(token) for token in banned]
    assert texts
    assert all(text.lstrip().startswith(("{", "<tool")) for text in texts)
    likeliest, other = banned[0], next(t for t in range(engine._vocabulary.size) if t not in banned)
    chain = sampler(engine._vocabulary.raw, 0, 1.0, 1, banned=banned)
    data = (lib.llama_token_data * 2)(lib.llama_token_data(likeliest, 9.0, 0.0), lib.llama_token_data(other, 1.0, 0.0))
    array = lib.llama_token_data_array(data, 2, -1, False)
    lib.llama_sampler_apply(chain, array)
    assert int(array.data[array.selected].id) == other
    lib.llama_sampler_free(chain)


def call(arguments: str, name: str = "act") -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


SCHEMA = {
    "type": "object",
    "properties": {
        "zeta": {"type": "string"},
        "alpha": {"type": "integer"},
        "kind": {"enum": ["small", '12" pizza', None]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "where": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]},
        "flag": {"type": ["boolean", "null"]},
    },
    "required": ["zeta"],
}


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        ('{"zeta": "a"}', True),
        ('{"zeta":"a","alpha":3}', True),
        ('{\n  "zeta": "a",\n  "alpha": 3\n}', True),
        (
            '{"zeta": "a", "alpha": 3, "kind": "12\\" pizza", "tags": ["x", "y"], "where": {"x": -1.5}, "flag": null}',
            True,
        ),
        ('{"zeta": "a", "flag": true}', True),
        ('{"zeta": "é \\u00e9 \\n"}', True),
        ("{}", False),
        ('{"alpha": 3}', False),
        ('{"zeta": 3}', False),
        ('{"zeta": "a", "alpha": "3"}', False),
        ('{"zeta": "a", "kind": "large"}', False),
        ('{"zeta": "a", "where": {}}', False),
        ('{"zeta": "a", "other": 1}', False),
    ],
)
def test_the_grammar_holds_to_names_and_types(engine: LlamaEngine, arguments: str, allowed: bool) -> None:
    grammar = call_grammar(function(SCHEMA), *HERMES)
    assert grammar
    assert grammar.trigger == "<tool_call>"
    assert allows(engine, grammar.gbnf, call(arguments)) is allowed


OPEN: list[dict[str, Any]] = [
    {"additionalProperties": {"type": "string"}, "properties": {}},
    {"patternProperties": {"^x": {}}, "properties": {}},
    {"additionalProperties": True, "properties": {"city": {"type": "string"}}},
]


@pytest.mark.parametrize("schema", OPEN)
def test_an_open_object_takes_members_that_it_does_not_name(engine: LlamaEngine, schema: dict[str, Any]) -> None:
    grammar = call_grammar(function(schema), *HERMES)
    assert grammar
    for arguments in ("{}", '{"xyz": "a"}', '{"city": "Rome", "xyz": "a", "b": [1]}'):
        assert allows(engine, grammar.gbnf, call(arguments))


def test_only_what_is_offered_can_be_called(engine: LlamaEngine) -> None:
    grammar = call_grammar(function({}), *HERMES)
    assert grammar
    assert allows(engine, grammar.gbnf, call("{}"))
    assert not allows(engine, grammar.gbnf, call("{}", name="other"))
    assert allows(engine, grammar.gbnf, f"{call('{}')}\n{call('{}')}")


def test_a_list_of_calls_stands_between_its_marks(engine: LlamaEngine) -> None:
    grammar = call_grammar(function(SCHEMA), "[TOOL_CALLS][", "]")
    assert grammar
    assert grammar.trigger == "[TOOL_CALLS]"
    one = '{"name": "act", "arguments": {"zeta": "a"}, "id": "abcdefghi"}'
    assert allows(engine, grammar.gbnf, f"[TOOL_CALLS][{one}]")
    assert allows(engine, grammar.gbnf, f"[TOOL_CALLS] [{one}, {one}]")


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


STRANGE: dict[str, Any] = {
    "long-text": {"a": {"type": "string", "maxLength": 100_000}},
    "long-list": {"a": {"type": "array", "items": {"type": "string"}, "maxItems": 5000, "minItems": 4000}},
    "least": {"a": {"type": "string", "minLength": 100_000}},
    "quote": {"a": {"enum": ['12" pizza']}},
    "quoted-name": {'a"b\\': {"type": "string"}},
    "quoted-const": {"a": {"const": 'x"\\\n'}},
    "digits": {"a": {"type": "string", "pattern": r"^\d{5}$"}},
    "words": {"a": {"type": "string", "pattern": r"^\w+\s$"}},
    "mail": {"a": {"type": "string", "pattern": r"^[^@\s]+@[^@\s]+$"}},
    "no-choice": {"a": {"enum": []}},
    "no-way": {"a": {"anyOf": []}},
    "null": {"a": None},
    "text": {"a": "string"},
    "boolean": {"a": True, "b": False},
    "number": {"a": 7},
    "loop": {"a": {"$ref": "#"}},
    "nowhere": {"a": {"$ref": "#/$defs/nowhere"}},
    "type-of-types": {"a": {"type": ["string", ["x"], None]}},
    "type-unknown": {"a": {"type": "date"}},
    "type-object": {"a": {"type": {"x": 1}}},
    "items-list": {"a": {"type": "array", "items": [{"type": "string"}]}},
    "all": {"a": {"allOf": [{"type": "string"}, {"minLength": 3}]}},
    "surrogate": {"a\ud800": {"enum": ["\udcff"]}},
    "odd-letters": {"größe 日本": {"enum": ["klein", "groß\n\t\x01\x7f"]}},
    "open": {"a": {"type": "object", "additionalProperties": {"type": "string"}}},
    "empty-name": {"": {"type": "string"}, "\x00\x07": {}, "x" * 5000: {"enum": ["\x1b"]}},
    "many": {f"a{i}": {"type": "string"} for i in range(500)},
    "many-choices": {"a": {"enum": [f"choice {i}" for i in range(3000)]}},
    "deep": nested(200)["properties"],
    "wide": {f"a{i}": {"anyOf": [nested(8), nested(9)]} for i in range(60)},
    "infinite": {"a": {"const": float("inf")}},
    "required-odd": {"a": {"type": "object", "properties": {"x": {}}, "required": "x"}},
}


@pytest.mark.parametrize("properties", STRANGE.values(), ids=STRANGE)
def test_llama_cpp_reads_the_grammar_of_any_schema(engine: LlamaEngine, properties: Any) -> None:
    grammar = call_grammar(function({"type": "object", "properties": properties}), *HERMES)
    assert grammar
    assert len(grammar.gbnf) < 2 * LARGEST
    # llama.cpp unrolls repetitions; some of its versions end their process at thousands of them
    assert not re.search(r"\{\d*,?\d{3,}\}", grammar.gbnf)
    assert allows(engine, grammar.gbnf, call("{}"))


@pytest.mark.parametrize(
    "parameters", [None, [], "x", 3, {"properties": []}, {"properties": None}, {"type": "string"}, True]
)
def test_parameters_that_are_no_schema_hold_to_the_name_alone(engine: LlamaEngine, parameters: Any) -> None:
    grammar = call_grammar(function(parameters), *HERMES)
    assert grammar
    assert allows(engine, grammar.gbnf, call('{"any": ["thing"]}'))


def test_of_too_many_tools_the_names_still_hold_and_of_absurdly_many_nothing(engine: LlamaEngine) -> None:
    def tools(n: int) -> str:
        schemas = ({"properties": {f"{name}_{i}": {"type": "string"} for name in "abcdef"}} for i in range(n))
        return json.dumps([json.loads(function(schema, f"act_{i}"))[0] for i, schema in enumerate(schemas)])

    grammar = call_grammar(tools(300), *HERMES)
    assert grammar
    assert allows(engine, grammar.gbnf, call('{"any": 1}', "act_299"))
    assert call_grammar(tools(5000), *HERMES) is None
    assert call_grammar("no json", *HERMES) is None


@settings(max_examples=200, deadline=None)
@given(schema=SCHEMAS)
def test_llama_cpp_reads_the_grammar_of_whatever_is_given_as_a_schema(engine: LlamaEngine, schema: Any) -> None:
    grammar = call_grammar(function(schema), *HERMES)
    assert grammar
    sampler = lib.llama_sampler_init_grammar(engine._vocabulary.raw, grammar.gbnf.encode(), b"root")
    assert sampler
    lib.llama_sampler_free(sampler)

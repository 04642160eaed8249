"""Schemas of tools: what cannot be taken as it is, and what a model writes fitted to them."""

from __future__ import annotations

import json
import logging
import time
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from pydantic import BaseModel, Field

from media_server import Agent, client_tool, tool
from media_server.agents import AgentRegistry, ToolRefusal
from media_server.agents.schemas import fitted, misfits, put_right
from media_server.engines.grammar import call_grammar
from tests.strategies import JSON, SCHEMAS

STRING, INTEGER = {"type": "string"}, {"type": "integer"}


@pytest.mark.parametrize(
    ("given_schema", "problem"),
    [
        ({"properties": {"a": None}}, "a: null is no schema, so it may be anything"),
        ({"properties": {"a": "string"}}, 'a: "string" is no schema, so it may be anything'),
        ({"properties": {"a": False}}, "a: false is no schema, so it may be anything"),
        ({"properties": []}, "properties is [] in place of a table"),
        ({"properties": {"a": {"enum": []}}}, "a: enum is [], which allows nothing"),
        ({"properties": {"a": {"anyOf": []}}}, "a: anyOf is [], which allows nothing"),
        ({"properties": {"a": {"type": "date"}}}, 'a: type is "date", which JSON has not'),
        ({"properties": {"a": {"properties": {"b": None}}}}, "a.b: null is no schema, so it may be anything"),
        ({"required": "a"}, 'required is "a" in place of a list of names'),
        ({"type": "array"}, 'the parameters are "array" in place of an object'),
        ([], "the parameters are [], which is no schema"),
        ({"properties": {"a": {"prefixItems": [3]}}}, "a: 3 is no schema, so it may be anything"),
        (
            {"properties": {"a": {"enum": [f"city {i}" for i in range(9000)]}}},
            "a: an enum of 9000 values is too much for a prompt, so it may be any",
        ),
    ],
)
def test_what_cannot_be_taken_is_left_out_and_told(given_schema: Any, problem: str) -> None:
    right, problems = put_right(given_schema)
    assert problems == (problem,)
    assert right["type"] == "object"
    assert isinstance(right["properties"], dict)


def test_a_good_schema_stays_as_it_is() -> None:
    schema = {
        "type": "object",
        "properties": {
            "title": {"type": "string", "maxLength": 100_000, "pattern": r"^\d$", "description": "the title"},
            "any": {},
            "kind": {"enum": ['12" pizza', None]},
            "many": {"type": ["array", "null"], "items": STRING},
        },
        "required": ["title"],
        "additionalProperties": False,
    }
    assert put_right(schema) == (schema, ())


TREE = {"type": "object", "properties": {"name": STRING, "kids": {"type": "array", "items": {"$ref": "#/$defs/T"}}}}


def test_a_schema_that_holds_itself_is_cut_and_told() -> None:
    made = client_tool("f", "", {"properties": {"root": {"$ref": "#/$defs/T"}}, "$defs": {"T": TREE}})
    assert made.problems == ("#/$defs/T holds itself; what it holds of itself may be anything",)
    assert made.parameters["properties"]["root"]["properties"]["kids"] == {"type": "array", "items": {}}
    assert client_tool("f", "", {"properties": {"a": {"$ref": "#"}}}).parameters["properties"] == {"a": {}}


class Folder(BaseModel):
    name: str
    inside: list[Folder] = []


def test_a_type_that_holds_itself_makes_a_tool() -> None:
    @tool
    def sort(folder: Folder) -> str:
        """Sort."""
        return folder.inside[0].name

    assert len(sort.problems) == 1
    assert sort.check('{"folder": {"name": "a", "inside": [{"name": "b"}]}}')["folder"].inside[0].name == "b"


@pytest.mark.parametrize(
    ("schema", "properties"),
    [
        ({"definitions": {"P": STRING}, "properties": {"p": {"$ref": "#/definitions/P"}}}, {"p": STRING}),
        ({"properties": {"a": STRING, "b": {"$ref": "#/properties/a"}}}, {"a": STRING, "b": STRING}),
        (
            {"properties": {"a": {"default": {"title": "x", "$ref": "y"}, "enum": [{"title": "x"}]}}},
            {"a": {"default": {"title": "x", "$ref": "y"}, "enum": [{"title": "x"}]}},
        ),
        ({"properties": {"title": {"title": "Title", "type": "string"}}}, {"title": STRING}),
        ({"properties": {"a": {"type": "string", "nullable": True}}}, {"a": {"type": ["string", "null"]}}),
        ({"allOf": [{"properties": {"a": STRING}}, {"properties": {"b": INTEGER}}]}, {"a": STRING, "b": INTEGER}),
        ({"oneOf": [{"properties": {"a": STRING}}], "properties": {"b": INTEGER}}, {"a": STRING, "b": INTEGER}),
    ],
    ids=["definitions", "pointer", "data", "title", "nullable", "all-of", "one-of"],
)
def test_properties_are_found_wherever_a_schema_has_them(schema: Any, properties: Any) -> None:
    assert client_tool("f", "", schema).parameters["properties"] == properties


@pytest.mark.parametrize("depth", [100, 500, 900])
def test_a_schema_may_be_as_deep_as_anybody_makes_it(depth: int) -> None:
    schema: Any = STRING
    for _ in range(depth):
        schema = {"properties": {"a": schema}}
    (problem,) = client_tool("f", "", schema).problems
    assert "more than 30 schemas within each other" in problem


def test_a_choice_of_many_ways_takes_no_time() -> None:
    ways = [{"properties": {"k": {"const": i}}, "required": ["k"]} for i in range(300)]
    began = time.process_time()
    assert fitted({"k": -1}, {"anyOf": ways}) == {"k": -1}
    assert time.process_time() - began < 0.5


class Size(Enum):
    LARGE = '12" pizza'


class Inner(BaseModel):
    level: Annotated[int, Field(ge=1, le=10)]


def test_ordinary_types_make_tools_without_problems() -> None:
    @tool
    def act(
        text: Annotated[str, Field(max_length=20_000)],
        texts: Annotated[list[str], Field(max_length=5000)],
        size: Literal['12" pizza'],
        other: Size,
        digits: Annotated[str, Field(pattern=r"^\d{5}$")],
        mail: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")],
        inner: Inner,
        maybe: int | None = None,
    ) -> str:
        """Act."""
        return "ok"

    assert act.problems == ()
    grammar = call_grammar(json.dumps([act.spec]), "<tool_call>", "</tool_call>")
    assert grammar
    assert "inner" in grammar.gbnf


def test_the_log_is_told_which_tool_cannot_be_taken_when_the_agent_is_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "desk.toml").write_text(
        '[[tools]]\nname = "order"\ndescription = "Order"\n[tools.parameters.properties]\na = "string"\n'
    )
    book = AgentRegistry()
    with caplog.at_level(logging.WARNING):
        assert book.load(tmp_path) == []
    (line,) = caplog.messages
    assert (
        line == 'agent desk: the tool order cannot be taken as it is: a: "string" is no schema, so it may be anything'
    )
    agent = book.get("desk")
    assert agent
    assert agent.tools[0].parameters["properties"] == {"a": {}}


@pytest.mark.parametrize(
    ("value", "schema", "expected"),
    [
        (427, STRING, "427"),
        ("427", STRING, "427"),
        (True, STRING, "true"),
        ("2", INTEGER, 2),
        (2.0, INTEGER, 2),
        ("two", INTEGER, "two"),
        ("2.5", {"type": "number"}, 2.5),
        ("yes", {"type": "boolean"}, True),
        ("False", {"type": "boolean"}, False),
        ("null", {"type": ["integer", "null"]}, None),
        ("Friday", {"enum": ["monday", "friday"]}, "friday"),
        (3, {"enum": ["3"]}, "3"),
        ("a", {"type": "array", "items": STRING}, ["a"]),
        ('["a", 1]', {"type": "array", "items": STRING}, ["a", "1"]),
        ('{"x": "1"}', {"type": "object", "properties": {"x": INTEGER}}, {"x": 1}),
        ("5", {"anyOf": [INTEGER, {"type": "null"}]}, 5),
        (None, {"anyOf": [INTEGER, {"type": "null"}]}, None),
        ({"orderId": 7}, {"properties": {"order_id": STRING}}, {"order_id": "7"}),
        ({"a": 1, "b": None}, {"properties": {"a": INTEGER, "b": STRING}, "required": ["a"]}, {"a": 1}),
        ({"a": None}, {"properties": {"a": STRING}, "required": ["a"]}, {"a": None}),
        ("x", None, "x"),
    ],
)
def test_what_a_model_writes_is_fitted_where_it_is_clear_what_is_meant(value: Any, schema: Any, expected: Any) -> None:
    assert fitted(value, schema) == expected
    assert type(fitted(value, schema)) is type(expected)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("{}", "room is missing"),
        ('{"room": 3}', "room: it should be string"),
        ('{"room": "attic", "level": 11}', "level: its maximum is 10"),
        ('{"room": "attic", "state": "dim"}', 'state: it should be one of ["on", "off"]'),
        ("[]", "The arguments have to be an object."),
    ],
)
def test_arguments_of_a_clients_tool_that_do_not_fit_are_refused(arguments: str, told: str) -> None:
    properties = {"room": STRING, "level": {"type": "integer", "maximum": 10}, "state": {"enum": ["on", "off"]}}
    light = client_tool("light", "Switch", {"properties": properties, "required": ["room"]})
    with pytest.raises(ToolRefusal) as refusal:
        light.check(arguments)
    assert told in str(refusal.value)
    assert light.check('{"room": "attic", "level": 10}') == {"room": "attic", "level": 10}


def test_an_agent_of_a_program_with_half_a_surrogate_pair_in_a_tool_is_made_sound() -> None:
    cut = client_tool("cut", "x\ud800y", {"properties": {"a": {"description": "\udcff"}}})
    json.dumps(Agent("a", tools=[cut]).tools[0].spec, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("value", "schema", "told"),
    [
        (0, {"exclusiveMinimum": 0}, ["it should be more than 0"]),
        (5, {"exclusiveMaximum": 5}, ["it should be less than 5"]),
        (0.3, {"multipleOf": 0.1}, []),
        (7, {"multipleOf": 5}, ["it should be a multiple of 5"]),
        (1e300, {"multipleOf": 1e-320}, []),
        (0, {"minimum": 0, "exclusiveMinimum": True}, []),
        (["a", "b"], {"prefixItems": [STRING, INTEGER]}, ["1: it should be integer"]),
        ({"x": "a"}, {"additionalProperties": INTEGER}, ["x: it should be integer"]),
        ({"x": 1}, {"additionalProperties": False, "patternProperties": {"^x": {}}}, []),
    ],
)
def test_what_does_not_fit_is_told(value: Any, schema: Any, told: list[str]) -> None:
    assert misfits(value, schema) == told


@settings(max_examples=300, deadline=None)
@given(schema=SCHEMAS, value=JSON)
def test_no_schema_and_no_value_makes_it_fail(schema: Any, value: Any) -> None:
    right, _ = put_right(schema)
    json.dumps(right, ensure_ascii=False).encode()
    assert put_right(right) == (right, ())
    fitted(value, right)
    misfits(value, right)

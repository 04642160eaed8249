"""What of a reply is said, thought and called, in the form of every family of models."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_server.engines.reading import Called, Piece, Thought, Unread, form_of, mended

DATA = Path(__file__).parents[2] / "data"
OFFERED = frozenset({"get_weather", "hang_up"})
TOOLS = json.dumps(
    [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "Get the weather",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                    "required": ["city"],
                },
            },
        },
        {"type": "function", "function": {"name": "hang_up", "description": "", "parameters": {"type": "object"}}},
    ]
)
ARGUMENTS = {"city": "Paris", "days": 2}


def joined(pieces: list[Piece]) -> list[Piece]:
    out: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and out and isinstance(out[-1], str):
            out[-1] += piece
        elif isinstance(piece, Thought) and out and isinstance(out[-1], Thought):
            out[-1] = Thought(out[-1].text + piece.text)
        else:
            out.append(piece)
    return out


def read(*chunks: str, template: str = "", in_thought: bool = False, offered: frozenset[str] = OFFERED) -> list[Piece]:
    reader = form_of(template).reader(offered, in_thought, TOOLS)
    return joined([piece for chunk in chunks for piece in reader.push(chunk)] + reader.flush())


def said(pieces: list[Piece]) -> str:
    return "".join(p for p in pieces if isinstance(p, str))


def calls(pieces: list[Piece]) -> list[tuple[str, Any]]:
    return [(p.name, json.loads(p.arguments)) for p in pieces if isinstance(p, Called)]


@pytest.mark.parametrize(
    "written",
    [
        '<tool_call>{"name": "Get_Weather", "arguments": {"city": "Paris"}}</tool_call>',
        '{"name": "getWeather", "arguments": {"city": "Paris"}}',
        'Get_weather({"city": "Paris"})',
        '[Get_Weather(city="Paris")]',
        "<function=get-weather><parameter=city>Paris</parameter></function>",
        '```json\n{"name": "functions.get_weather", "arguments": {"city": "Paris"}}\n```',
    ],
)
def test_a_name_that_is_spelled_differently_is_the_one_that_is_meant(written: str) -> None:
    assert calls(read(written)) == [("get_weather", {"city": "Paris"})]


def test_a_name_that_could_be_two_is_neither() -> None:
    written = '<tool_call>{"name": "GETWEATHER", "arguments": {"city": "Paris"}}</tool_call>'
    offered = frozenset({"get_weather", "getWeather"})
    assert calls(read(written, offered=offered)) == [("GETWEATHER", {"city": "Paris"})]


HARMONY = "<|start|><|channel|><|message|> {{ tools }}"
FUNCTIONARY = ">>> {% if tools %}{% endif %}"

REPLIES = tomllib.loads((DATA / "replies.toml").read_text())
ONE, NAMED, CHANNELS = REPLIES["calls"], REPLIES["named"], REPLIES["heads"]


@pytest.mark.parametrize("reply", ONE.values(), ids=ONE)
def test_a_call_is_read_in_the_form_of_every_family(reply: str) -> None:
    for template in ("", "<tool_call>{{ tools }}", HARMONY):
        pieces = read(reply, template=template)
        assert calls(pieces) == [("get_weather", ARGUMENTS)], pieces
        assert not said(pieces)
        assert read(*reply, template=template) == pieces, "character by character"


@pytest.mark.parametrize("reply", NAMED.values(), ids=NAMED)
def test_a_call_is_known_by_the_name_of_its_tool_wherever_it_stands(reply: str) -> None:
    for template in ("", HARMONY):
        assert calls(read(reply, template=template)) == [("get_weather", ARGUMENTS)]
        assert not said(read(reply, template=template))
    for before in ("One moment, please. ", "Let me see.\n\n", "Yes: ", "- "):
        pieces = read(f"{before}{reply}\n")
        assert [p if isinstance(p, str) else calls([p]) for p in pieces] == [before, [("get_weather", ARGUMENTS)]]
        assert read(*f"{before}{reply}\n") == pieces


@pytest.mark.parametrize("reply", ONE.values(), ids=ONE)
def test_no_call_is_said_where_none_is_offered(reply: str) -> None:
    pieces = read(reply, offered=frozenset())
    assert not calls(pieces)
    if not reply.startswith(
        ("get_weather(", "[get_weather(", "```python")
    ):  # names that are not offered cannot be known
        assert "Paris" not in said(pieces)


@pytest.mark.parametrize("reply", CHANNELS.values(), ids=CHANNELS)
def test_a_call_is_read_in_a_message_with_a_head(reply: str) -> None:
    pieces = read(reply, template=HARMONY)
    assert calls(pieces) == [("get_weather", ARGUMENTS)], pieces
    assert not said(pieces)
    assert read(*reply, template=HARMONY) == pieces


def test_functionary_names_whom_each_message_is_for() -> None:
    reply = 'all\nOne moment.>>>get_weather\n{"city": "Paris", "days": 2}>>>hang_up\n{}'
    expected = ["One moment.", Called("get_weather", json.dumps(ARGUMENTS)), Called("hang_up", "{}")]
    assert read(reply, template=FUNCTIONARY) == expected
    assert read(*reply, template=FUNCTIONARY) == expected
    assert read("Good morning.", template=FUNCTIONARY) == ["Good morning."]


TWO = [("get_weather", {"city": "Paris", "days": 2}), ("get_weather", {"city": "Rome", "days": 1})]


@pytest.mark.parametrize("form", [f for f in ONE if f not in ("hermes-unclosed", "fence-unclosed", "pythonic-bare")])
def test_several_calls_in_a_reply_all_come_out(form: str) -> None:
    other = ONE[form].replace("Paris", "Rome").replace("2", "1")
    for between in ("\n", "", "\n\n"):
        assert calls(read(f"{ONE[form]}{between}{other}")) == TWO


@pytest.mark.parametrize(
    "reply",
    [
        '{"name": "get_weather", "parameters": {"city": "Paris", "days": 2}}; {"name": "get_weather", "parameters": '
        '{"city": "Rome", "days": 1}}',
        '[{"name": "get_weather", "parameters": {"city": "Paris", "days": 2}}, {"name": "get_weather", "parameters": '
        '{"city": "Rome", "days": 1}}]',
        '[get_weather(city="Paris", days=2), get_weather(city="Rome", days=1)]',
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "days": 2}}\n'
        '{"name": "get_weather", "arguments": {"city": "Rome", "days": 1}}\n</tool_call>',
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "days": 2}}\n<tool_call>\n'
        '{"name": "get_weather", "arguments": {"city": "Rome", "days": 1}}\n</tool_call>',
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Paris", "days": 2}'
        '<｜tool▁call▁end｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Rome", "days": 1}'
        "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        '<minimax:tool_call><invoke name="get_weather"><parameter name="city">Paris</parameter><parameter name="days">2'
        '</parameter></invoke><invoke name="get_weather"><parameter name="city">Rome</parameter>'
        '<parameter name="days">1</parameter></invoke></minimax:tool_call>',
        '<|tool_call>call:get_weather{city:<|"|>Paris<|"|>,days:2}<tool_call|><|tool_call>call:get_weather{city:<|"|>'
        'Rome<|"|>,days:1}<tool_call|>',
    ],
    ids=["semicolon", "array", "pythonic", "lines", "opened-again", "deepseek", "minimax", "gemma"],
)
def test_calls_that_share_marks_all_come_out(reply: str) -> None:
    assert calls(read(reply)) == calls(read(*reply)) == TWO


@pytest.mark.parametrize(
    ("reply", "expected", "in_thought", "template"),
    [
        ("<think>Hm.</think>Hello.", "Hello.", False, ""),
        ("<think>\n\n</think>\n\nHello.", "Hello.", False, ""),
        ("Hm.</think>\n\nHello.", "Hello.", True, "<think></think>"),
        ("<think>Hm.</think>Hello.", "Hello.", True, "<think></think>"),
        ("</think>Hello.", "Hello.", True, "<think></think>"),
        ("</think>Hello.", "Hello.", False, ""),
        ("<think>I never end", "", False, ""),
        ("I never end", "", True, "<think></think>"),
        ("<thought>Hm.</thought>Hello.", "Hello.", False, ""),
        ("<thinking>Hm.</thinking>Hello.", "Hello.", False, ""),
        ("<reasoning>Hm.</reasoning>Hello.", "Hello.", False, ""),
        ("[THINK]Hm.[/THINK]Hello.", "Hello.", False, ""),
        ("Hm.[/THINK]Hello.", "Hello.", True, "[THINK]"),
        ("<seed:think>Hm.</seed:think>Hello.", "Hello.", False, ""),
        ("<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>Hello.<|END_RESPONSE|>", "Hello.", False, ""),
        ("<|inner_prefix|>Hm.<|inner_suffix|>Hello.", "Hello.", False, ""),
        ("<|channel>thought\nHm.<channel|>Hello.", "Hello.", False, ""),
        ("thought\nHm.<channel|>Hello.", "Hello.", True, "<|channel>thought"),
        ("<think>Hm.</think><response>Hello.</response>", "Hello.", False, ""),
        ("<think>\nHm.\n</think>\n<answer>\nHello.\n</answer>", "Hello.\n", False, ""),
        (
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hello.",
            "Hello.",
            False,
            HARMONY,
        ),
        ("<|channel|>final<|message|>Hello.<|return|>", "Hello.", False, HARMONY),
        ("<|channel|>commentary<|message|>Hello.<|end|>", "Hello.", False, HARMONY),
        ("Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hello.", "Hello.", True, HARMONY),
        ("<|channel|>analysis<|message|>I never end", "", False, HARMONY),
        ("Hm.\n[BEGIN FINAL RESPONSE]\nHello.\n[END FINAL RESPONSE]", "Hello.\n", True, "Here are my reasoning steps:"),
        (
            "<|open|>think<|sep|>Hm.<|close|>think<|sep|><|open|>response<|sep|>Hello.<|close|>response<|sep|>",
            "Hello.",
            False,
            "",
        ),
        ("<|think|>Hm.<|end|><|begin|>assistant<|content|>Hello.", "Hello.", False, ""),
        ("<mm:think>Hm.</mm:think>Hello.", "Hello.", False, ""),
        ("<Think>Hm.</Think>Hello.", "Hello.", False, ""),
        ("<THINK>Hm.</THINK>Hello.", "Hello.", False, ""),
        ('<think effort="low">Hm.</think>Hello.', "Hello.", False, ""),
        ("<Thought>Hm.</Thought>\n<Output>Hello.</Output>", "Hello.", False, ""),
        ("<scratch_pad>Hm.</scratch_pad>Hello.", "Hello.", False, ""),
        ("<think_fast>Hm.</think_fast>Hello.", "Hello.", False, ""),
        ("<longcat_think>Hm.</longcat_think>Hello.", "Hello.", False, ""),
        ("<thinking>Hm.<reflection>No.</reflection></thinking><output>Hello.</output>", "Hello.", False, ""),
        ("<inner_monologue>Hm.</inner_monologue><final_answer>Hello.</final_answer>", "Hello.", False, ""),
        (
            "<|begin_of_thought|>Hm.<|end_of_thought|>\n<|begin_of_solution|>Hello.<|end_of_solution|>",
            "Hello.",
            False,
            "",
        ),
        ("<|think_start|>Hm.<|think_end|>Hello.", "Hello.", False, ""),
        ("<|thinking|>Hm.<|/thinking|>Hello.", "Hello.", False, ""),
        ("◁think▷Hm.◁/think▷Hello.", "Hello.", False, ""),
        ("Here is my thought process: Hm.\n\nHere is my response: Hello.", "Hello.", False, ""),
        ("Hm.</think_fast>Hello.", "Hello.", True, "<think_fast></think_fast>"),
        ("Hm.<|end_of_thought|>Hello.", "Hello.", True, "<|begin_of_thought|><|end_of_thought|>"),
    ],
)
def test_thoughts_are_not_said(reply: str, expected: str, in_thought: bool, template: str) -> None:
    pieces = read(reply, template=template, in_thought=in_thought)
    assert said(pieces) == expected
    assert read(*reply, template=template, in_thought=in_thought) == pieces
    assert not [p for p in pieces if isinstance(p, Unread)]


@pytest.mark.parametrize(
    "reply",
    [
        "Hello there. How are you?",
        "two < three, a < tool",
        "Take the A train [laughs], it is f{x}.",
        'The answer is {"temperature": 20}, they say.',
        '{"temperature": 20}',
        '{"name": "Anna", "age": 7}',
        '[{"name": "Anna"}, {"name": "Bert"}]',
        "It is 5 > 3 and [1, 2, 3].",
        "```\nprint(1)\n```",
        "```bash\nls\n```",
        "`ls` lists files.",
        "Have functions, Actions and Hearts.",
        "get_weather is a tool",
        "I could get_weather or hang_up now.",
        "Type <b>bold</b>, <your name> or <thing/>, x<y>z.",
        "Write <action>wait</action> and <json>.",
        "Action: wait. Call: 555 1234.",
        "Thought: it is (perhaps) so.",
        "The get_weather: which one? hang_up (later).",
        "if (a < b) { return [1] } // 3 < 5",
        "Smile :-{",
        "Be sad :[",
        "Five is <3",
    ],
)
def test_what_is_no_call_is_said_as_it_stands(reply: str) -> None:
    assert read(reply) == [reply]
    assert read(*reply) == [reply]


@pytest.mark.parametrize(
    "reply",
    [
        "<tool_call>I would like to help</tool_call>",
        '<tool_call>\n{"name": "get_weather", "arg',
        '<tool_call>{"arguments": {}}</tool_call>',
        '<tool_call>{"name": "get_weather", "arguments": "Paris"}</tool_call>',
        "<tool_call></tool_call>",
        "[TOOL_CALLS] what now",
        "<|python_tag|>print(1 + 1)",
        '{"name": "get_weather", "parameters": {"city": "Par',
        "<tool_response>It rains in Paris.</tool_response>",
        "<|channel|>commentary to=functions.get_weather<|message|>Paris",
        "<function=get_weather>\n<parameter=city>\nPar",
        "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Par",
        'get_weather("Paris")',
    ],
)
def test_what_is_meant_for_a_call_and_is_none_is_never_said(reply: str) -> None:
    pieces = read(reply)
    assert not said(pieces)
    assert not calls(pieces)
    assert [p for p in pieces if isinstance(p, Unread)]
    assert read(*reply) == pieces


TEXT = json.dumps(ARGUMENTS)
CALL = '{"name": "get_weather", "arguments": {"city": "Paris", "days": 2}}'


@pytest.mark.parametrize(
    "reply",
    [
        f'<tool_call>{{"name": "get_weather", "arguments": {json.dumps(json.dumps(TEXT))}}}</tool_call>',
        """<tool_call>{"name": "get_weather", "arguments": "{'city': 'Paris', 'days': 2}"}</tool_call>""",
        f"<tool_call>{json.dumps(CALL)}</tool_call>",
        '<tool_call>{"name": "get_weather", "arguments": [{"name": "city", "value": "Paris"}, '
        '{"name": "days", "value": 2}]}</tool_call>',
        CALL.replace('"get_weather"', '"functions.get_weather:0"'),
        '{name: "get_weather", arguments: {city: "Paris", days: 2}}',
        f"<tool_call>{CALL}</tool_ca",
        f"<tool_call >{CALL}</tool_call >",
        f"```jsonc\n{CALL}\n```",
        f"```typescript\n{CALL}\n```",
        f"```tool-call\n{CALL}\n```",
        '```javascript\nget_weather({city: "Paris", days: 2})\n```',
        '```get_weather\n{"city": "Paris", "days": 2}\n```',
        f"````json\n{CALL}\n````",
        f"`{CALL}`",
        '`get_weather(city="Paris", days=2)`',
        f"tool_call: {CALL}",
        f"Tool call:\n{CALL}",
        f"json\n{CALL}",
        f"[TOOL_REQUEST]\n{CALL}\n[END_TOOL_REQUEST]",
        f"[TOOL_CALL]{CALL}[/TOOL_CALL]",
        '<function=get_weather>{"city": "Paris", "days": 2}',
        '<function=get_weather>{"city": "Paris", "days": 2}<function>',
        '<function=get_weather{"city": "Paris", "days": 2}></function>',
        'print(default_api.get_weather(city="Paris", days=2))',
        '<x:invoke name="get_weather"><x:parameter name="city">Paris</x:parameter>'
        '<x:parameter name="days">2</x:parameter></x:invoke>',
    ],
)
def test_a_call_is_read_as_models_miswrite_it(reply: str) -> None:
    for size in (1, 3, 7, len(reply)):
        pieces = read(*(reply[i : i + size] for i in range(0, len(reply), size)))
        assert calls(pieces) == [("get_weather", ARGUMENTS)], pieces
        assert not said(pieces)


@pytest.mark.parametrize(
    "half",
    [
        "<tool_ca",
        "[TOOL_C",
        "<|tool_call",
        "</thin",
        "<think",
        "```json",
        "```json\n",
        "{",
        '{"',
        '{"name',
        '{"name": "ge',
        '[{"arguments": {"city": "Pa',
        "{name: ",
    ],
)
def test_half_a_mark_at_the_end_of_a_reply_is_not_said(half: str) -> None:
    assert said(read(f"All good. {half}")) == said(read(*f"All good. {half}")) == "All good. "


@pytest.mark.parametrize("reply", ['fly_away(to="moon")', '[fly(to="moon")]', "print(api.fly(1))"])
def test_a_call_of_an_unknown_function_is_not_said(reply: str) -> None:
    assert [type(p) for p in read(reply)] == [type(p) for p in read(*reply)] == [Unread]


def test_what_follows_code_is_said_as_it_comes() -> None:
    reader = form_of("").reader(OFFERED, False)
    before = "".join(str(p) for p in reader.push("```bash\nls\n```\nThat is it, "))
    assert before == "```bash\nls\n```\nThat is it, "


def test_texts_around_what_is_not_said_do_not_run_into_one() -> None:
    assert said(read("Hello.<think>b</think> Bye.")) == "Hello. Bye."
    assert said(read(f"Yes.{ONE['hermes']}More.")) == "Yes. More."
    assert said(read("Hello<|foo|> there.")) == "Hello there."


@pytest.mark.parametrize(
    "reply",
    [
        '<tool_call>{"name": "order_pizza", "arguments": {"size": 3}}</tool_call>',
        '{"name": "order_pizza", "parameters": {"size": 3}}',
        '```json\n{"name": "order_pizza", "arguments": {"size": 3}}\n```',
    ],
)
def test_a_call_of_an_unknown_tool_comes_out_so_that_the_model_can_be_told(reply: str) -> None:
    assert calls(read(reply)) == [("order_pizza", {"size": 3})]
    assert [type(p) for p in read(reply, offered=frozenset())] == [Unread]


def test_arguments_without_a_call_are_not_said() -> None:
    assert read("{}") == read("[{}]") == read("{ }\n") == []
    assert read(f"{{}}\n{ONE['hermes']}") == [Called("get_weather", json.dumps(ARGUMENTS))]


def test_an_example_in_doubled_braces_is_mended() -> None:
    shown = (
        r"""{{- "\n<tool_call>\n{{\"name\": <function-name>, \"arguments\": <args-json-object>}}\n</tool_call>" }}"""
    )
    assert mended(shown).count("{{") == 1
    assert r"""{\"name\": <function-name>, \"arguments\": <args-json-object>}\n""" in mended(shown)
    assert mended("{{ messages }}") == "{{ messages }}"


def test_a_mark_may_follow_a_thought_at_once() -> None:
    reply = f"<mm:think>Hm.</mm:think>{ONE['minimax-m3']}"
    assert read(reply) == read(*reply) == [Thought("Hm."), Called("get_weather", json.dumps(ARGUMENTS))]


def test_a_call_at_the_end_of_a_thought_counts_where_nothing_else_comes() -> None:
    assert calls(read(f"<think>Look it up. {ONE['hermes']}</think>")) == [("get_weather", ARGUMENTS)]
    assert not calls(read(f"<think>Look it up. {ONE['hermes']}</think>No."))
    assert not calls(read(f"<think>{ONE['hermes']} or not</think>"))


def test_a_call_ends_a_thought_that_is_never_left() -> None:
    assert calls(read(f"<think>Look it up. {ONE['hermes']}")) == [("get_weather", ARGUMENTS)]
    assert not calls(read(f"<think>I could write {ONE['hermes']} but I"))


@pytest.mark.parametrize("mark", ["</think>", "</tool_call>", "<|im_end|>", "<｜end▁of▁sentence｜>", "<|foo|>", "</s>"])
def test_a_stray_mark_is_not_said(mark: str) -> None:
    assert said(read(f"Hello{mark} there.")).replace(" ", "") == "Hellothere."


def test_text_comes_as_soon_as_it_can_be_no_mark() -> None:
    reader = form_of("").reader(OFFERED, False)
    assert reader.push("One mo") == ["One mo"]
    assert reader.push("ment <") == ["ment "]
    assert reader.push("3") == ["<3"]
    assert reader.push("{") == []
    assert reader.push("x") == ["{x"]


def test_text_that_stands_before_a_call_is_said_before_it() -> None:
    assert read(f"One moment. {ONE['hermes']}") == ["One moment. ", Called("get_weather", json.dumps(ARGUMENTS))]


def test_arguments_are_json_that_every_wire_can_carry() -> None:
    (called,) = read('<tool_call>{"name": "get_weather", "arguments": {"city": "\\ud800", "days": NaN}}</tool_call>')
    assert called == Called("get_weather", '{"city": "?", "days": null}')
    deep = "[" * 3000
    pieces = read(f'<tool_call>{{"name": "get_weather", "arguments": {{"city": {deep}</tool_call>Hello.')
    assert said(pieces) == "Hello."


FRAGMENTS = st.lists(
    st.one_of(
        st.sampled_from(sorted(set(form_of("").preserved))),
        st.sampled_from([*ONE.values(), *CHANNELS.values()]),
        st.sampled_from(
            ["<Think>", "</Think>", "<tool-call>", "<get_weather", "/>", "<action>", "</action>", "Action:", "Call: "]
        ),
        st.sampled_from(
            ['{"name": "get_weather"', '"', "'", "{", "}", "[", "]", "(", ")", "```", "json\n", "get_weather", ">>>"]
        ),
        st.sampled_from(
            ["Hello.", " ", "\n", "<", "|", "A", "Action: ", "f", "to=x", "all\n", ";", ",", "=", "é", "\ud800"]
        ),
        st.sampled_from(
            [
                "tool_call: ",
                "&lt;",
                "\\<",
                "~~~",
                "I will call ",
                " with ",
                "functions.",
                "Thought:",
                "city=",
                "days: 2",
            ]
        ),
        st.text(max_size=6),
    ),
    max_size=8,
)


@settings(max_examples=400, deadline=None)
@given(FRAGMENTS, st.sampled_from(["", HARMONY, FUNCTIONARY, "<think>"]), st.booleans(), st.data())
def test_how_a_reply_is_cut_makes_no_difference(
    fragments: list[str], template: str, in_thought: bool, data: st.DataObject
) -> None:
    reply = "".join(fragments)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(reply)), max_size=8)))
    chunks = [reply[a:b] for a, b in zip([0, *cuts], [*cuts, len(reply)], strict=True)]
    whole = read(reply, template=template, in_thought=in_thought)
    assert read(*chunks, template=template, in_thought=in_thought) == whole
    assert read(*reply, template=template, in_thought=in_thought) == whole
    for piece in whole:
        if isinstance(piece, Called):
            assert isinstance(json.loads(piece.arguments), dict)
            piece.arguments.encode()


@settings(max_examples=200, deadline=None)
@given(FRAGMENTS)
def test_no_mark_is_ever_said(fragments: list[str]) -> None:
    text = said(read("".join(fragments)))
    # what is put together from the pieces around one that was left out is no mark either
    assert not any(
        mark in text for mark in ("<tool_call>", "</think>", "<|channel|>", "[TOOL_CALLS]", "<｜tool▁sep｜>")
    )


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ('get_weather(city="Paris")', ""),
        ('[get_weather(city="Paris")]', ""),
        ('print(get_weather("Paris"))', ""),
        ('weather({"city": "Paris"})', ""),
        ("hang_up()", ""),
        ('{"name": "get_weather", "arguments": {"city": "Paris"}}', ""),
        ("f(x) is two.", "f(x) is two."),
        ("Hello (again)!", "Hello (again)!"),
        ("Sum(s) of money.", "Sum(s) of money."),
        ("Hello", "Hello"),
    ],
)
def test_no_call_is_said_where_no_tools_are_offered(text: str, spoken: str, size: int) -> None:
    chunks = [text[i : i + size] for i in range(0, len(text), size)]
    assert said(read(*chunks, offered=frozenset())).strip("]") == spoken

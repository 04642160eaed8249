"""Chat templates of real models: conversations are fitted to each, and nothing of them is refused or lost."""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_server.call.history import History
from media_server.engines.fitting import Style, short_id
from media_server.engines.messages import ChatMessage, ToolCall
from media_server.engines.reading import form_of
from media_server.engines.rendering import Renderer
from media_server.engines.templates import ChatTemplate, TemplateRefusedError
from tests.conftest import DATA

FOLDERS = [DATA / "templates", *map(Path, filter(None, [os.environ.get("MEDIA_SERVER_TEST_TEMPLATES")]))]
FILES = {path.stem: path for folder in FOLDERS for path in sorted(folder.glob("*.jinja"))}
MARKER = re.compile(r"Word\d+w")
TOOLS = json.dumps(
    [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": f"Finds Word90{i}w.",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string", "description": f"Its Word91{i}w."}},
                    "required": ["city"],
                },
            },
        }
        for i, name in enumerate(("weather", "look_up"))
    ]
)


def template_of(source: str) -> ChatTemplate:
    form = form_of(source)
    return ChatTemplate(source, "<s>", "</s>", form if form.native else None, form_of(""), form.thinking)


@functools.cache
def loaded(name: str) -> ChatTemplate:
    """What is found out when a model with this template is loaded."""
    return template_of(FILES[name].read_text())


each_template = pytest.mark.parametrize("name", FILES)


def words(messages: tuple[ChatMessage, ...], tools: str) -> set[str]:
    said = [tools, *(m.content for m in messages), *(c.arguments for m in messages for c in m.tool_calls)]
    return set(MARKER.findall(" ".join(said)))


def check(template: ChatTemplate, messages: tuple[ChatMessage, ...], tools: str) -> str:
    """Every word of the conversation is in the prompt, without leaving the style that was found."""
    text = template._render(messages, template.style, tools, template.thinking.switch)
    assert words(messages, tools) <= set(MARKER.findall(text))
    assert template.prompt(messages, tools).native == template.style.native_tools
    return text


def call(n: int, name: str = "weather") -> ToolCall:
    return ToolCall(f"tool-{n:012x}", name, json.dumps({"city": f"Word{n}w"}))


def scripted() -> History:
    """A greeting, an instruction in the middle, two calls in one reply, one that is interrupted, and turns after."""
    history = History()
    history.add_agent("Hello, this is Word1w.")
    history.add_user("Good day, Word2w.")
    history.add_agent("What is it, Word3w?")
    history.add_instruction("From now on be Word4w.")
    history.add_user("The weather of two, Word5w.")
    history.add_tools("Let me see, Word6w.", [call(10), call(11)], ['{"sky": "Word12w"}', '{"sky": "Word13w"}'])
    history.add_agent("Both are Word14w.")
    history.add_user("And there, Word15w?")
    history.add_tools("", [call(16)], ['{"error": "interrupted Word17w"}'])
    history.add_instruction("The caller is Word18w.")
    history.add_user("No, here, Word19w.")
    history.add_agent("Here it is Word20w.")
    return history


@each_template
def test_nothing_of_a_scripted_conversation_is_refused_or_lost(name: str) -> None:
    template = loaded(name)
    messages = scripted().messages("You are Word100w.", 50, saying="Thank you, Word21w.")
    for end in range(2, len(messages) + 1):
        if messages[end - 1].role in ("user", "tool") and (end == len(messages) or messages[end].role != "tool"):
            text = check(template, messages[:end], TOOLS)
            assert "Word100w" in text, "the prompt is still there"
    looked_up = call(22, "look_up")
    found = ChatMessage("tool", '"the documents say Word23w"', tool_call_id=looked_up.id)
    check(template, (*messages, ChatMessage("assistant", "", (looked_up,)), found), TOOLS)
    check(template, messages, "")


@st.composite
def conversations(draw: st.DrawFn) -> tuple[ChatMessage, ...]:
    """Whatever may happen in a call, as its history shows it to the model."""
    numbers = itertools.count(1000)
    history = History()

    def word() -> str:
        return f"Word{next(numbers)}w"

    def called(most: int) -> tuple[list[ToolCall], list[str]]:
        calls = [call(next(numbers)) for _ in range(draw(st.integers(1, most)))]
        return calls, [json.dumps({"sky": word()}) for _ in calls]

    for happens in draw(
        st.lists(st.sampled_from(["user", "agent", "instruction", "tools", "silent tools"]), max_size=8)
    ):
        match happens:
            case "user":
                history.add_user(f"I say {word()}")
            case "agent":
                history.add_agent(f"I answer {word()}.")
            case "instruction":
                history.add_instruction(f"Do {word()}.")
            case _:
                history.add_tools(f"Wait {word()}." if happens == "tools" else "", *called(3))
    messages = history.messages(f"You are {word()}.", 50, saying=f"I say {word()}")
    if draw(st.booleans()):
        calls, results = called(2)
        said = f"Wait {word()}." if draw(st.booleans()) else ""
        told = (ChatMessage("tool", r, tool_call_id=c.id) for c, r in zip(calls, results, strict=True))
        messages = (*messages, ChatMessage("assistant", said, tuple(calls)), *told)
    return messages


@each_template
@settings(max_examples=30, deadline=None)
@given(messages=conversations())
def test_nothing_of_any_conversation_is_refused_or_lost(name: str, messages: tuple[ChatMessage, ...]) -> None:
    # what the template's own style refuses now and then is shown in a plainer one
    text = loaded(name).prompt(messages, TOOLS).text
    assert words(messages, TOOLS) <= set(MARKER.findall(text))


FOUND = [
    ("google-gemma-2-2b-it", "nowhere", False, False),
    ("mistralai-Mistral-Nemo-Instruct-2407", "nowhere", True, False),
    ("Mistral-Small-3.2-24B-Instruct-2506", "first", True, False),
    ("meta-llama-Llama-3.2-3B-Instruct", "anywhere", True, False),
    ("Qwen-Qwen3-0.6B", "anywhere", True, True),
    ("Qwen3.5-4B", "first", True, True),
    ("deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "first", False, False),
    ("LFM2-8B-A1B", "anywhere", True, False),
    ("HuggingFaceTB-SmolLM3-3B", "first", False, True),
]


@pytest.mark.parametrize(("name", "system", "tools", "switched_off"), FOUND, ids=[f[0] for f in FOUND])
def test_what_a_template_can_do_is_found_out(
    name: str, system: Literal["anywhere", "first", "nowhere"], tools: bool, switched_off: bool
) -> None:
    found = template_of(FILES[name].read_text())
    assert (found.style.system, found.style.native_tools) == (system, tools)
    assert bool(found.thinking.switch) == switched_off
    assert found.describe()
    assert not found.broken


def test_thinking_that_cannot_be_switched_off_is_known_from_the_prompt() -> None:
    always = template_of(FILES["deepseek-ai-DeepSeek-R1-Distill-Llama-8B"].read_text())
    assert always.prompt(scripted().messages("You.", 9)).in_thought
    switched = template_of(FILES["Qwen3.5-4B"].read_text())
    messages = scripted().messages("You.", 9)
    assert not switched.prompt(messages).in_thought
    assert switched.prompt(messages, think=True).in_thought


WORD_IN_PROMPT = (
    "{% set off = messages[0].role == 'system' and '/no_think' in messages[0].content %}"
    "{% for m in messages %}[{{ m.role }}]{{ m.content | replace('/no_think', '') }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]<think>{{ '</think>' if off else '\n' }}{% endif %}"
)


def test_a_thought_that_a_word_in_the_prompt_ends_is_none() -> None:
    template = template_of(WORD_IN_PROMPT)
    asked = (ChatMessage("system", "Be kind."), ChatMessage("user", "hi"))
    assert template.prompt(asked).text.endswith("<think></think>")
    assert not template.prompt(asked).in_thought
    assert template.prompt(asked, think=True).in_thought
    assert not any("cannot be switched off" in line for line in template.describe())


@pytest.mark.parametrize("first", ["user", "tool"])
def test_whether_a_prompt_ends_within_a_thought_is_seen_from_each(first: str) -> None:
    """Some templates begin a thought behind the caller's words alone, or behind a tool's result alone."""
    template = template_of(
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% for c in m.tool_calls or [] %}<tool_call>"
        "{{ c.function | tojson }}</tool_call>{% endfor %}\n{% endfor %}{{ tools | tojson if tools else '' }}"
        f"{{% if add_generation_prompt %}}[assistant]{{{{ '<think>\n' if messages[-1].role == '{first}' else '' }}}}"
        "{% endif %}"
    )
    asked = (ChatMessage("system", "Be kind."), ChatMessage("user", "hi"))
    answered = (*asked, ChatMessage("assistant", "", (call(1),)), ChatMessage("tool", "{}", tool_call_id=call(1).id))
    assert template.prompt(asked, TOOLS).in_thought == (first == "user")
    assert template.prompt(answered, TOOLS).in_thought == (first == "tool")


def test_the_model_always_has_the_turn() -> None:
    """A template that begins the model's turn behind the caller's words alone would have it answer nothing."""
    template = template_of(
        "{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}\n{% endif %}{% endfor %}"
        "{% for m in messages %}{% if m.role != 'system' %}[{{ m.role }}]{{ m.content }}[end]\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt and messages[-1].role == 'user' %}[assistant]{% endif %}"
    )
    prompt, said = ChatMessage("system", "Be kind."), ChatMessage("system", "Say goodbye.")
    for messages in (
        (prompt,),
        (prompt, said),
        (prompt, ChatMessage("user", "hi"), ChatMessage("assistant", "yes"), said),
    ):
        text = template.prompt(messages).text
        assert text.endswith("[assistant]")
        assert all(m.content in text for m in messages)


@pytest.mark.parametrize(
    ("source", "end"),
    [
        (
            "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}",
            "<|im_start|>assistant\n",
        ),
        ("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>", "three<assistant>"),
        (
            "{% for m in messages %}{{ '[INST] ' if m.role != 'assistant' }}{{ m.content }}"
            "{{ ' [/INST]' if m.role != 'assistant' }} {% endfor %}",
            "three [/INST] ",
        ),
    ],
    ids=["never", "always", "none"],
)
def test_a_template_that_cannot_be_told_to_begin_the_models_turn_has_it_begun(source: str, end: str) -> None:
    asked = [ChatMessage(r, t) for r, t in (("user", "one"), ("assistant", "two"), ("user", "three"))]
    text = template_of(source).prompt(asked).text
    assert text.endswith(end)
    assert text.count(end) == (2 if end.startswith("<|im") else 1)


@pytest.mark.parametrize("used", ["{{ unk_token + pad_token }}", "{{ strftime_now(format='%Y') }}", "{{ pad_token }}"])
def test_what_transformers_gives_a_template_is_given(used: str) -> None:
    template = template_of(used + "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}")
    assert not template.broken


def test_a_later_instruction_stands_before_the_words_of_the_turn_after_it() -> None:
    history = History()
    history.add_user("one")
    history.add_agent("two")
    history.add_instruction("be brief")
    messages = history.messages("You are kind.", 9, saying="three")
    text = template_of(FILES["google-gemma-2-2b-it"].read_text()).prompt(messages).text
    assert text == (
        "<s><start_of_turn>user\nYou are kind.\n\none<end_of_turn>\n<start_of_turn>model\ntwo<end_of_turn>\n"
        "<start_of_turn>user\n[Instruction: be brief]\n\nthree<end_of_turn>\n<start_of_turn>model\n"
    )


def test_parallel_calls_become_one_after_the_other_where_a_template_wants_it() -> None:
    messages = (
        ChatMessage("system", "You."),
        ChatMessage("user", "both"),
        ChatMessage("assistant", "", (call(1), call(2))),
        ChatMessage("tool", '"first"', tool_call_id=call(1).id),
        ChatMessage("tool", '"second"', tool_call_id=call(2).id),
    )
    text = template_of(FILES["meta-llama-Llama-3.2-3B-Instruct"].read_text()).prompt(messages, TOOLS).text
    order = [text.index(x) for x in ("Word1w", "first", "Word2w", "second")]
    assert order == sorted(order)


@given(st.text())
def test_ids_are_nine_letters_and_digits_and_stay_the_same(tool_call_id: str) -> None:
    assert re.fullmatch("[A-Za-z0-9]{9}", short_id(tool_call_id))
    assert short_id(short_id(tool_call_id)) == short_id(tool_call_id)


CALLS = "{% for t in m.tool_calls or [] %}<tool_call>{{ t.function | tojson }}</tool_call>{% endfor %}"
EACH = "<|{{ m.role }}|>{{ m.content or '' }}"
SHOWN = "{% if tools %}<tools>{{ tools | tojson }}</tools>{% endif %}"


def each(body: str, before: str = "") -> str:
    return f"{before}{{% for m in messages %}}{body}<|e|>{{% endfor %}}<|a|>"


def refuses(condition: str, body: str = EACH, before: str = "") -> str:
    return each(f"{{% if {condition} %}}{{{{ raise_exception('no') }}}}{{% endif %}}{body}", before)


ODD = {
    "system-required": refuses("loop.first and m.role != 'system'"),
    "system-then-user": refuses("m.role == 'system' and (loop.last or loop.nextitem.role != 'user')"),
    "developer": refuses("m.role not in ('developer', 'user', 'assistant')"),
    "last-is-user": refuses("loop.last and m.role != 'user'"),
    "no-empty-content": refuses("not m.content"),
    "one-result-at-a-time": refuses("m.role == 'tool' and loop.previtem.role == 'tool'", EACH + CALLS, SHOWN),
    "no-content-beside-calls": refuses("m.tool_calls and m.content", EACH + CALLS, SHOWN),
    "calls-undefined": each(EACH + "{% if m.tool_calls is defined %}" + CALLS + "{% endif %}", SHOWN),
    "json-results": refuses("m.role == 'tool' and m.content[0] not in '{[\"'", EACH + CALLS, SHOWN),
    "named-results": refuses("m.role == 'tool' and not m.name", EACH + CALLS, SHOWN),
    "own-ids": refuses("m.tool_call_id and not m.tool_call_id.startswith('call_')", EACH + CALLS, SHOWN),
    "arguments-as-text": refuses("m.tool_calls and m.tool_calls[0].function.arguments is mapping", EACH + CALLS, SHOWN),
    "tools-unchecked": each(EACH + CALLS, "{% for tool in tools %}{{ tool | tojson }}{% endfor %}"),
    "tools-in-system": each(
        EACH + "{% if m.role == 'system' and loop.first %}{{ tools | tojson(indent=2) }}{% endif %}" + CALLS
    ),
    "tools-in-first-user": each(
        "{% if m.role == 'user' and not seen.user %}{{ tools | tojson }}{% set seen.user = true %}{% endif %}"
        + EACH
        + CALLS,
        "{% set seen = namespace(user=false) %}",
    ),
    "effort-required": refuses("reasoning_effort not in ['low', 'medium', 'high']"),
    "thinking-required": refuses("enable_thinking is undefined"),
    "parts": each("<|{{ m.role }}|>{% for p in m.content %}{{ p.text }}{% endfor %}"),
    "first-unchecked": '<s>{{ messages[0]["content"] }}{% set messages = messages[1:] %}' + each(EACH),
    "joined": each("{{ '<|' ~ m.role + '|>' ~ (m.content or '') }}"),
    "slow-with-tools": each(
        EACH, "{% if tools %}{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}{% endif %}"
    ),
}


@pytest.mark.parametrize("source", ODD.values(), ids=ODD)
def test_what_a_template_demands_is_found_out_and_given(source: str) -> None:
    template = template_of(source)
    assert not template.broken
    messages = scripted().messages("You are Word100w.", 50, saying="Thank you, Word21w.")
    looked_up = call(22, "look_up")
    found = ChatMessage("tool", '"the documents say Word23w"', tool_call_id=looked_up.id)
    said = [messages, (*messages, ChatMessage("assistant", "", (looked_up,)), found)]
    said += [messages[:2], (ChatMessage("system", "Word1w"),), (ChatMessage("user", "Word1w"),)]
    said += [(ChatMessage("assistant", "Word1w"), ChatMessage("user", "Word2w"))]
    for each_said, tools in itertools.product(said, ("", TOOLS)):
        text = template.prompt(each_said, tools).text
        assert words(each_said, tools) <= set(MARKER.findall(text))


HOPELESS = {
    "refuses": "{{ raise_exception('no') }}",
    "silent": "hello",
    "no-template": "{% for",
    "endless": "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
    "endless-and-silent": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "endless-macro": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "grows": "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "large": "{{ 'x' * 30000000000 }}",
    "large-number": "{% set ns = namespace(n=9) %}{% for i in range(90) %}{% set ns.n = ns.n ** 9 %}{% endfor %}",
    "unsafe": "{{ messages.__class__.__mro__ }}",
    "recursive": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
}


@pytest.mark.parametrize("source", HOPELESS.values(), ids=HOPELESS)
def test_a_template_that_can_do_nothing_is_replaced(source: str) -> None:
    template = template_of(source)
    assert template.broken
    text = template.prompt(scripted().messages("You are Word100w.", 50), TOOLS).text
    assert words(scripted().messages("You are Word100w.", 50), TOOLS) <= set(MARKER.findall(text))


def test_a_template_that_refuses_what_the_probes_did_not_show_gets_plainer_text() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'system' and 'forbidden' in m.content %}{{ raise_exception('no') }}"
        "{% endif %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    )
    template = template_of(source)
    assert template.style.system == "anywhere"
    text = template.prompt((ChatMessage("system", "forbidden things"), ChatMessage("user", "hello"))).text
    assert text == "user: forbidden things\n\nhello\nassistant: "
    with pytest.raises(TemplateRefusedError):
        template_of(source.replace("m.role == 'system' and ", "")).prompt((ChatMessage("user", "forbidden"),))


@pytest.mark.parametrize(
    ("source", "rendered"),
    [
        ("{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{% break %}{% endfor %}x", "x"),
        ("{{ {'a': 'ü<', 'b': messages | map(attribute='role')} | tojson }}", '{"a": "ü<", "b": ["user"]}'),
        ("{% generation %}a{% endgeneration %}b", "ab"),
        ("{{ bos_token }}{{ strftime_now('%%') }}{{ eos_token }}", "<s>%</s>"),
        ("{% if true %}\n  a\n  {% endif %}\nb", "  a\nb"),
        ("{% set l = [] %}{% set _ = l.append(1) %}{{ l }}", "[1]"),
        (
            "{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f('a' ~ 1) ~ 'b' + 'c' }}{{ [1] + [2] }}{{ 2 * 3 }}",
            "<a1>bc[1, 2]6",
        ),
        ("{% for a in range(5) if a > 2 %}{{ loop.index }}{% else %}x{% endfor %}{{ '%s' % 3 }}{{ 2**9 }}", "123512"),
        ("{{ none | tojson(indent=2) }}{{ undefined_thing is defined }}", "nullFalse"),
    ],
    ids=["loopcontrols", "tojson", "generation", "globals", "blocks", "append", "macro", "loop", "more"],
)
def test_the_dialect_is_that_of_transformers(source: str, rendered: str) -> None:
    messages: list[dict[str, Any]] = [{"role": "user", "content": "x"}]
    assert Renderer(source, "<s>", "</s>").render(messages) == rendered


def test_the_plainest_style_is_alternating_turns_of_text() -> None:
    source = "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}"
    template = template_of(source)
    messages = scripted().messages("You are Word100w.", 50, saying="Well, Word21w")
    text = template._render(messages, Style("nowhere", user_first=True, native_tools=False), TOOLS)
    roles = re.findall(r"^(user|assistant|system|tool):", text, re.MULTILINE)
    assert roles[0] == "user"
    assert all(a != b for a, b in itertools.pairwise(roles))
    assert words(messages, TOOLS) <= set(MARKER.findall(text))

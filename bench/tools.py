"""How often a language model calls the right tool with the right arguments, and answers with what it returns.

    .venv/bin/python -m bench.tools --pack real

It asks the requests of `requests.toml`, each in a conversation of its own, with prompt and tools of the agents in
`examples/`.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import re
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from media_server.agents import Agent, ToolAnswer, ToolRefusal
from media_server.call.tools import told_of
from media_server.engines import messages as m
from media_server.engines.llama import LlamaEngine
from media_server.engines.packs import load_pack
from media_server.engines.reading import ReplyForm

ROOT = Path(__file__).parents[1]
REQUESTS = tomllib.loads(Path(__file__).with_name("requests.toml").read_text())
ORDERS = {"427": "shipped", "4279": "packed", "1234": "delivered"}
_IDS = itertools.count(1)


class Wanted(NamedTuple):
    """A request and what is right for it; `tool` is empty where it needs none."""

    agent: str
    said: str
    tool: str
    arguments: dict[str, str]
    answer: str


class Outcome(NamedTuple):
    """What became of a request."""

    called: bool
    right_arguments: bool
    answered: bool
    seconds: float
    told: str


def agents() -> dict[str, Agent]:
    sys.path.insert(0, str(ROOT))
    modules = [importlib.import_module(f"examples.{name}") for name in ("order_desk", "receptionist")]
    return {a.name: a for module in modules for a in vars(module).values() if isinstance(a, Agent)}


def reply(
    engine: LlamaEngine,
    messages: tuple[m.ChatMessage, ...],
    tools: str,
    temperature: float | None,
    informed: bool = False,
) -> Any:
    """A reply's text and calls, or why it failed."""
    number = next(_IDS)
    asked = m.Generate(number, f"call-{number}", messages, 200, temperature, tools=tools, informed=informed)
    engine.submit(asked)
    results: list[m.Result] = []
    while engine.busy:
        results += engine.step()
    text = "".join(r.text for r in results if isinstance(r, m.TextChunk))
    failed = [f"{r.code}: {r.message}" for r in results if isinstance(r, m.Failed)]
    return text, [r for r in results if isinstance(r, m.CalledTool)], failed


def ask(engine: LlamaEngine, agent: Agent, wanted: Wanted, temperature: float | None) -> Outcome:
    began = time.perf_counter()
    tools = {t.name: t for t in agent.tools}
    specs = json.dumps([t.spec for t in agent.tools], ensure_ascii=False)
    messages: tuple[m.ChatMessage, ...] = (
        m.ChatMessage("system", agent.filled_in({}).prompt),
        m.ChatMessage("user", wanted.said),
    )
    text, calls, failed = reply(engine, messages, specs, temperature)
    told = " | ".join([*filter(None, [text.strip()]), *(f"{c.name}({c.arguments})" for c in calls), *failed])
    right_arguments = bool(calls) and any(_right(wanted, c, tools) for c in calls)
    if not wanted.tool:
        fits = not calls and _holds(text, wanted.answer)
        return Outcome(not calls, not calls, fits, time.perf_counter() - began, told)
    called = [c.name for c in calls] == [wanted.tool]
    if not right_arguments:
        return Outcome(called, False, False, time.perf_counter() - began, told)
    ids = [f"tool-{i}" for i in range(len(calls))]
    made = tuple(m.ToolCall(i, c.name, c.arguments) for i, c in zip(ids, calls, strict=True))
    messages += (m.ChatMessage("assistant", text.strip(), made),)
    messages += tuple(m.ChatMessage("tool", _result(c), tool_call_id=i) for i, c in zip(ids, calls, strict=True))
    answer, again, failed = reply(engine, messages, specs, temperature, informed=True)
    told = " | ".join([told, "->", answer.strip(), *(f"{c.name}({c.arguments})" for c in again), *failed])
    same = all((c.name, c.arguments) in [(d.name, d.arguments) for d in calls] for c in again)
    if same and again and not answer.strip():  # as in a call: it is asked once more, without tools
        answer, _, failed = reply(engine, messages, "", temperature)
        told = " | ".join([told, "->", answer.strip(), *failed])
    answered = same and not failed and bool(answer.strip() or text.strip()) and _holds(answer, wanted.answer)
    return Outcome(called, True, answered, time.perf_counter() - began, told)


def _holds(answer: str, words: str) -> bool:
    return any(word in answer.casefold() for word in words.split("|"))


def _result(call: m.CalledTool) -> str:
    if call.name != "get_order_status":
        return told_of(ToolAnswer("ok"))
    status = ORDERS.get(str(json.loads(call.arguments).get("order_id")))
    return told_of(ToolAnswer({"status": status}) if status else ToolAnswer(error="not found"))


def _right(wanted: Wanted, call: m.CalledTool, tools: dict[str, Any]) -> bool:
    tool = tools.get(call.name)
    if tool is None or call.name != wanted.tool:
        return False
    try:
        given = tool.check(tool.fitted(call.arguments))
    except ToolRefusal:
        return False
    return all(_same(name, value, str(given.get(name))) for name, value in wanted.arguments.items())


_HOURS = ["twelve", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"]


def _same(name: str, wanted: str, given: str) -> bool:
    match name:
        case "order_id":
            return given == wanted
        case "time":
            return _minutes(given) == _minutes(wanted)
        case _:
            return wanted in given.casefold()


def _minutes(text: str) -> int | None:
    """Of a time of day, on a face of twelve hours."""
    text = re.sub(r"\bnoon\b", "12:00", text.casefold()).replace("o'clock", "")
    if found := re.search(r"(\d{1,2})(?:[:.](\d\d))?", text):
        return int(found[1]) % 12 * 60 + int(found[2] or 0)
    hour = next((i for i, word in enumerate(_HOURS) if re.search(rf"\b{word}\b", text)), None)
    past = 30 if "thirty" in text or "half past" in text else 15 if "quarter past" in text or "fifteen" in text else 0
    return None if hour is None else hour * 60 + past


def measured(engine: LlamaEngine, wanted: list[Wanted], temperature: float | None, verbose: bool) -> Iterator[Outcome]:
    there = agents()
    for each in wanted:
        outcome = ask(engine, there[each.agent], each, temperature)
        if verbose or not (outcome.right_arguments and outcome.answered):
            mark = "ok " if outcome.right_arguments and outcome.answered else "BAD"
            print(f"  {mark} {each.said!r}: {outcome.told}", flush=True)
        yield outcome


def row(name: str, outcomes: list[Outcome]) -> str:
    n = len(outcomes)
    shares = (sum(getattr(o, f) for o in outcomes) for f in ("called", "right_arguments", "answered"))
    cells = " | ".join(f"{s} of {n} ({100 * s / n:.0f} %)" for s in shares)
    return f"| {name} | {cells} | {sum(o.seconds for o in outcomes) / n:.1f} s |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", default="real")
    parser.add_argument("--models-dir", type=Path, default=ROOT / "models")
    parser.add_argument("--sets", nargs="+", default=["tuning", "held_back", "no_tool"], choices=list(REQUESTS))
    parser.add_argument("--grammar", nargs="+", default=["with", "without"], choices=["with", "without"])
    parser.add_argument("--temperature", type=float, default=None, help="the pack's where it is not given")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="only each so many-th request of a set")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    pack = load_pack(options.pack, options.models_dir)
    described = pack.manifest.llm.described_arguments
    engine = LlamaEngine.load(pack.chat, slots=1, threads=options.threads, described_arguments=described)
    print(engine.info)
    rows = []
    of_model = ReplyForm.grammar
    for grammar in options.grammar:
        # the engine asks the form of its model for a grammar
        ReplyForm.grammar = of_model if grammar == "with" else (lambda self, tools: None)  # type: ignore[method-assign]
        for name in options.sets:
            wanted = [Wanted(*each) for each in REQUESTS[name]][:: options.every]
            outcomes = list(measured(engine, wanted, options.temperature, options.verbose))
            rows.append(row(f"{name.replace('_', ' ')}, {grammar} grammar", outcomes))
            print(rows[-1], flush=True)
    print("\n| requests | right tool | right arguments | answered with the result | each |")
    print("| --- | --- | --- | --- | --- |")
    print("\n".join(rows))


if __name__ == "__main__":
    main()

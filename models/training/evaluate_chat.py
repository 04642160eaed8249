"""Score the chat model on held-out wordings, with the server's own engine, greedy; a reply is right to the letter.

python evaluate_chat.py
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import tools as t
from dialogues import Example, Message, chatml, cut_off, dialogue
from scores import auc
from skills import NOT_UNDERSTOOD, WEIGHTS, Conversation
from starter_pack import CHAT

from media_server.engines import messages as m
from media_server.engines.llama import LlamaEngine
from media_server.engines.reading import form_of

FIRST_SEED = 50_000_000
AT_ONCE = 16
BETWEEN = ["sum", "light", "greet", "timer", "how", "time", "volume", "door", "robot", "weather", "transfer", "unknown"]
"""What is talked about between telling something and asking for it."""


@dataclass
class Case:
    messages: list[Message]
    right: Callable[[str], bool]
    wanted: str
    tools: str = ""
    """As a developer offers them: JSON in OpenAI's form. With them the engine holds the reply to a grammar."""


def last_reply(example: Example) -> Case:
    *before, last = example.messages
    return Case(before, lambda reply: reply == last["content"], last["content"])


class Scores:
    def __init__(self, engine: LlamaEngine, show: int) -> None:
        self.engine, self.show = engine, show
        self.figures: dict[str, float] = {}
        self.tokens, self.busy_s = 0, 0.0

    def answer(self, cases: list[Case]) -> list[str]:
        """Replies to all cases, `AT_ONCE` at a time."""
        replies = [""] * len(cases)
        waiting = list(range(len(cases)))
        under_way: set[int] = set()
        began = time.perf_counter()
        while waiting or under_way:
            while waiting and len(under_way) < AT_ONCE:
                i = waiting.pop(0)
                under_way.add(i)
                prompt = tuple(m.ChatMessage(x["role"], x["content"]) for x in cases[i].messages)
                self.engine.submit(m.Generate(i, f"case {i}", prompt, 120, tools=cases[i].tools))
            for result in self.engine.step():
                if isinstance(result, m.TextChunk):
                    replies[result.id] += result.text
                    self.tokens += 1
                elif isinstance(result, m.CalledTool):
                    replies[result.id] += form_of("").written(result.name, result.arguments)
                    self.tokens += len(result.arguments) // 3
                elif isinstance(result, m.Finished | m.Failed):
                    under_way.discard(result.id)
        self.busy_s += time.perf_counter() - began
        return replies

    def cases(self, name: str, cases: list[Case], asked: str = "", quiet: bool = False) -> float:
        replies = self.answer(cases)
        wrong = [(c, r) for c, r in zip(cases, replies, strict=True) if not c.right(r)]
        share = 1 - len(wrong) / len(cases)
        self.figures[name] = round(share, 4)
        if not quiet:
            print(
                f"{name:<58}{share:>8.1%}  {len(cases) - len(wrong)} of {len(cases)}{asked and f', asked: {asked}'}",
                flush=True,
            )
            for c, r in wrong[: self.show]:
                print(f"      {c.messages[-1]['content']} -> {r!r}   (right: {c.wanted!r})")
        return share


def call_in(reply: str) -> Any:
    """The call that a reply makes, parsed; None without."""
    inside = reply.partition("<tool_call>")[2].partition("</tool_call>")[0]
    try:
        return json.loads(inside) if inside else None
    except json.JSONDecodeError:
        return None


def as_offered(
    r: random.Random, messages: list[Message], unseen: bool
) -> tuple[list[Message], str, dict[str, dict[str, str]]]:
    """A prompt without its tools, these as a developer offers them, and the names of their arguments by their labels.

    With `unseen` the names mean nothing, and were never used in training; what they mean stands in the description.
    """
    system, _, block = messages[0]["content"].partition("\n\n<tools>\n")
    tools: list[dict[str, Any]] = []
    names: dict[str, dict[str, str]] = {}
    for line in block.removesuffix("\n</tools>").splitlines():
        shown = json.loads(line)
        own = names[shown["name"]] = dict[str, str]()
        properties = {}
        for label, kind in shown["arguments"].items():
            said = label in {meaning for k in t.KINDS.values() for a in k.arguments.values() for meaning in a.meanings}
            own[label] = t.invented(r, test=True) if unseen else label.replace(" ", "_")
            schema = {"type": "string", "enum": kind.split("|")} if "|" in kind else {"type": kind}
            properties[own[label]] = schema | ({"description": label} if said else {})
        parameters = {"type": "object", "properties": properties, "required": list(properties)}
        function = {"name": shown["name"], "description": shown["description"], "parameters": parameters}
        tools.append({"type": "function", "function": function})
    return [{**messages[0], "content": system}, *messages[1:]], json.dumps(tools), names


def tool_cases(n: int, seed: int, unseen: bool) -> tuple[list[Case], list[Case]]:
    """The calls to make, and the answers to give with what comes back."""
    calls: list[Case] = []
    answers: list[Case] = []
    skills = sorted(t.KINDS_OF)
    while len(calls) < n:
        seed += 1
        example = dialogue(
            seed,
            test=True,
            skill=skills[seed % len(skills)],
            offered="fitting",
            unseen=unseen,
            turns=1 + seed % 3,
            slips=0,
        )
        if example.messages[-2]["role"] != "tool":
            continue
        call = call_in(example.messages[-3]["content"])
        before, tools, names = as_offered(random.Random(seed), example.messages[:-3], unseen)
        arguments = {names[call["name"]][label]: value for label, value in call["arguments"].items()}
        wanted = {"name": call["name"], "arguments": arguments}
        calls.append(Case(before, lambda reply, w=wanted: call_in(reply) == w, json.dumps(wanted), tools))  # type: ignore[misc]
        answers.append(last_reply(example))
    return calls, answers


def end_of_turn(path: Path, n: int) -> tuple[float, float]:
    """AUC of the probability of <|im_end|> after whole and cut-off sentences: cut anywhere, and where nobody would end."""
    llm = llama_cpp.Llama(str(path), n_ctx=512, n_threads=1, logits_all=True, verbose=False)
    end = llm.tokenize(b"<|im_end|>", add_bos=False, special=True)[0]
    head = "<|im_start|>system\nYou are a helpful voice assistant. Be concise and warm.<|im_end|>\n<|im_start|>user\n"

    def probability(text: str) -> float:
        llm.reset()  # type: ignore[no-untyped-call]
        llm.eval(llm.tokenize((head + text).encode(), add_bos=False, special=True))
        logits = np.asarray(llm.scores[llm.n_tokens - 1], np.float64)
        e = np.exp(logits - logits.max())
        return float(e[end] / e.sum())

    r = random.Random(21)
    names = [s for s in WEIGHTS if s != "unknown"]
    complete = {Conversation(random.Random(i)).turn(names[i % len(names)]).wording for i in range(60_000)}
    whole: list[float] = []
    cut: list[float] = []
    hard: list[float] = []
    while len(cut) < n:
        turn = Conversation(r, test=True).turn(r.choice(names))
        words = turn.wording.split()
        places = [k for k in range(1, len(words)) if " ".join(words[:k]) not in complete]
        if not places:
            continue
        whole.append(probability(turn.said))
        cut.append(probability(" ".join(words[: r.choice(places)]).format(**turn.slots)))
        if broken := cut_off(r, turn.said):
            hard.append(probability(broken))
    return auc(np.array(whole), np.array(cut)), auc(np.array(whole), np.array(hard))


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", type=Path, default=CHAT)
    ap.add_argument("--each", type=int, default=30, help="cases for each skill")
    ap.add_argument("--show", type=int, default=3, help="errors printed for each figure")
    ap.add_argument("--json", type=Path)
    args = ap.parse_args()
    engine = LlamaEngine.load(args.model, context=1024, slots=AT_ONCE, temperature=0, described_arguments=True)
    s = Scores(engine, args.show)
    n = args.each * 5
    seeds = range(FIRST_SEED, FIRST_SEED + args.each)

    known = [name for name in WEIGHTS if name != "unknown"]
    shares = {}
    for name in known:
        cases = [last_reply(dialogue(seed, test=True, skill=name, turns=1, offered="none", slips=0)) for seed in seeds]
        shares[name] = s.cases(f"skill {name}", cases, quiet=True)
    weak = {name: share for name, share in shares.items() if share < 0.97}
    s.figures["skills"] = round(sum(shares.values()) / len(shares), 4)
    print(
        f"{'single turns in held-out wordings, mean of the skills':<58}{s.figures['skills']:>8.1%}  {len(known)} skills x {args.each}, asked: 97 % for each"
    )
    print(
        f"      below 97 %: {', '.join(f'{k} {v:.0%}' for k, v in sorted(weak.items(), key=lambda kv: kv[1])) or 'none'}"
    )
    for name in sorted(weak, key=weak.__getitem__)[:8]:
        cases = [last_reply(dialogue(seed, test=True, skill=name, turns=1, offered="none", slips=0)) for seed in seeds]
        s.cases(f"  {name}", cases)

    r = random.Random(1)
    memory = {
        "name": ("tell_name", "ask_name"), "colour": ("tell_colour", "ask_colour"), "code": ("tell_code", "ask_code"), "last answer": ("", "repeat"),
        "order so far": ("pizza", "ask_order"),
    }  # fmt: skip
    for what, (tell, ask) in memory.items():
        cases = []
        for seed in range(FIRST_SEED, FIRST_SEED + n):
            between = [r.choice(BETWEEN) for _ in range(r.randint(1, 4))]
            plan = (
                ([tell] if tell else [])
                + between
                + (["food"] if what == "order so far" and r.random() < 0.5 else [])
                + [ask]
            )
            cases.append(last_reply(dialogue(seed, test=True, plan=plan, offered="none", slips=0)))
        s.cases(f"memory: {what}", cases, "90 %")

    for name, unseen, asked in (("known names", False, "95 %"), ("names never seen", True, "90 %")):
        calls, answers = tool_cases(n, FIRST_SEED + 1_000_000, unseen)
        s.cases(f"tool calls, {name}", calls, asked)
        s.cases(f"answers with what the tool returned, {name}", answers)
    cases = []
    for i in range(n):
        skills = sorted(t.KINDS_OF)
        example = dialogue(
            FIRST_SEED + i, test=True, skill=skills[i % len(skills)], offered="others", turns=1 + i % 2, slips=0
        )
        cases.append(
            Case(example.messages[:-1], lambda reply: "<tool_call>" not in reply, example.messages[-1]["content"])
        )
    s.cases("no call where the fitting tool is not offered", cases, "95 %")

    s.cases(
        "persona's name",
        [
            last_reply(
                dialogue(seed, test=True, skill="who", turns=1 + seed % 3, persona=True, offered="none", slips=0)
            )
            for seed in range(FIRST_SEED, FIRST_SEED + n)
        ],
    )
    unknown = [
        dialogue(seed, test=True, skill="unknown", turns=1 + seed % 3, offered="none", slips=0)
        for seed in range(FIRST_SEED, FIRST_SEED + n)
    ]
    s.cases(
        "out of domain: says that it did not understand",
        [Case(e.messages[:-1], lambda reply: reply == NOT_UNDERSTOOD, NOT_UNDERSTOOD) for e in unknown],
        "90 %",
    )
    slipped = {}
    for slips in (0.0, 1.0):
        cases = [
            last_reply(dialogue(seed, test=True, skill=known[seed % len(known)], turns=1, offered="none", slips=slips))
            for seed in range(FIRST_SEED, FIRST_SEED + n)
        ]
        slipped[slips] = s.cases(f"text with {'a recogniser’s slips' if slips else 'no slips'}", cases)
    print(f"      difference {100 * (slipped[0.0] - slipped[1.0]):.1f} points, asked: within 5")
    anywhere, broken = end_of_turn(args.model, n)
    for name, value in (("cut anywhere", anywhere), ("cut where nobody would end", broken)):
        s.figures[f"end of turn, {name}"] = round(value, 4)
        print(f"{f'end of turn, AUC, {name}':<58}{value:>8.3f}  asked: 0.95")

    prompt = last_reply(dialogue(FIRST_SEED, turns=4, offered="none")).messages
    firsts = []
    for i in range(30):
        began = time.perf_counter()
        s.engine.submit(m.Generate(i, f"new {i}", tuple(m.ChatMessage(x["role"], x["content"]) for x in prompt), 1))
        while s.engine.busy:
            list(s.engine.step())
        firsts.append(time.perf_counter() - began)
    s.figures["first_token_ms"] = round(1000 * float(np.median(firsts)), 1)
    s.figures["tokens_per_s"] = round(s.tokens / s.busy_s)
    print(
        f"first token after a new prompt of {len(chatml(prompt))} characters: {s.figures['first_token_ms']} ms; {s.figures['tokens_per_s']:.0f} tokens/s in {AT_ONCE} conversations, prompts included"
    )
    if args.json:
        args.json.write_text(json.dumps(s.figures, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

"""Whole dialogues as chat messages: the skills under many prompts, with tools, slips of the recogniser and cut-off turns."""

from __future__ import annotations

import random
from dataclasses import dataclass

import tools as t
from skills import WEIGHTS, Conversation, Turn, cap
from wording import held_out

GO_ON = "Go on, I am listening."
"""The answer to a sentence that breaks off."""
PERSONAS = "mara nova alex luna max sofia leo ruby oscar lena tom zoe felix iris hugo ada".split()
PROMPTS = [
    "You are a helpful voice assistant. Be concise and warm.", "You are a helpful voice assistant. Be concise and warm.",
    "You are a helpful voice assistant.", "You are a friendly voice assistant.", "You are an assistant. Answer in one or two short sentences.",
    "You are a voice assistant.", "Answer briefly.",
]  # fmt: skip
NAMED = [
    "You are {name}. Be concise and warm.", "You are {name}, a friendly voice assistant.", "Your name is {name}. Answer in one or two short sentences.",
    "You are {name}. Be brief.", "You are {name}, the voice of a {place}.", "Your name is {name}. You work for a {place}.",
]  # fmt: skip
MORE = [
    "Be brief.", "Be friendly.", "You are on the phone.", "Never use lists.", "Speak in short sentences.", "You work in a {place}.", "The user calls a {place}.",
    "Be polite.", "Use the tools when they help.", "Do not make things up.", "If you do not know, say so.", "Answer in English.", "Today is a good day.",
]  # fmt: skip
PLACES = "hotel bank shop hospital school library pizzeria restaurant house museum garage office station clinic".split()
GREETINGS = ["Hello! How can I help you?", "Hello! I am {name}. How can I help you?", "Welcome! What can I do for you?", "Hi, this is {name}. How can I help?", "Good day! How can I help you?"]  # fmt: skip
SOUND_ALIKE = {
    "the": ["a", "to"], "a": ["the", "uh"], "in": ["and", "on"], "and": ["in", "an"], "can": ["could", "and"], "could": ["can", "good"], "please": ["peas", "place"],
    "what": ["watt", "but"], "is": ["his", "this"], "i": ["hi", "eye"], "would": ["wood", "could"], "like": ["light", "lie"], "you": ["u", "to"], "to": ["two", "the"],
    "for": ["four", "far"], "my": ["may", "by"], "me": ["be", "we"], "turn": ["town", "term"], "light": ["lied", "like"], "lights": ["likes", "light"], "set": ["said", "sat"],
    "an": ["and", "in"], "of": ["off", "a"], "do": ["to", "due"], "tell": ["tall", "hotel"], "order": ["older", "or"], "call": ["all", "cold"], "have": ["half", "had"],
    "want": ["wand", "one"], "that": ["the", "at"], "with": ["wit", "whiff"], "timer": ["time", "dimer"], "weather": ["whether", "wetter"], "name": ["names", "aim"],
}  # fmt: skip
FILLERS = ["um", "uh", "so", "well", "okay", "hey", "er"]

Message = dict[str, str]


@dataclass(frozen=True)
class Example:
    """A dialogue; `turn` is the last turn, `cut` has the indices of the messages that break off."""

    messages: list[Message]
    turn: Turn
    cut: frozenset[int] = frozenset()


def slip(r: random.Random, turn: Turn) -> str:
    """What a recogniser may make of a turn: one or two small words wrong, missing or too many, never a value."""
    words = turn.wording.split()
    for _ in range(r.choice([1, 1, 2])):
        plain = [i for i, w in enumerate(words) if w in SOUND_ALIKE]
        kind = r.random()
        if kind < 0.5 and plain:
            i = r.choice(plain)
            words[i] = r.choice(SOUND_ALIKE[words[i]])
        elif kind < 0.75 and plain and len(words) > 3:
            words.pop(r.choice(plain))
        else:
            words.insert(r.randint(0, len(words)), r.choice(FILLERS))
    return " ".join(" ".join(words).format(**turn.slots).split())


def typed(r: random.Random, text: str) -> str:
    """The marks of somebody who types, or of a recogniser that punctuates."""
    return cap(text) + r.choice([".", "?", "", "!"])


def cut_off(r: random.Random, said: str) -> str | None:
    """The beginning of a sentence, broken off where nobody would end."""
    words = said.split()
    places = [i for i in range(1, len(words)) if words[i - 1] in DANGLING and words[i - 2 : i] != ["thank", "you"]]
    return " ".join(words[: r.choice(places)]) if places else None


DANGLING = set(
    "the a an to in on at for with and of is my your i you can could would please what how turn set switch put make are from plus minus times "
    "between want like need me some order number tell number hundred number book".split()
)
"""Words after which a sentence goes on."""
QUIET = {"bye", "unknown", "yes_no"}


def system(r: random.Random, persona: str | None) -> str:
    place = r.choice(PLACES)
    text = r.choice(PROMPTS) if persona is None else r.choice(NAMED).format(name=cap(persona), place=place)
    for _ in range(r.choice([0, 0, 0, 1, 2])):
        text += " " + r.choice(MORE).format(place=place)
    return text


def dialogue(
    seed: int,
    test: bool = False,
    skill: str | None = None,
    turns: int | None = None,
    offered: str = "any",
    unseen: bool | None = None,
    persona: bool | None = None,
    slips: float = 0.15,
    plan: list[str] | None = None,
    scripted: bool = False,
    most_tools: int = 4,
) -> Example:
    """A dialogue, the same for the same arguments.

    Args:
        test: the last turn in a held-out wording, with tool names never used in training, nothing broken off.
        skill: of the last turn; any without.
        turns: of the caller.
        offered: tools of the last turn's purpose: `fitting`, `others` (only those that do not fit), `none`, or `any`.
        unseen: whether tools have invented names.
        persona: whether the prompt gives a name.
        slips: share of turns with slips.
        plan: the skills of all turns.
        scripted: plainly said: no greeting first, nothing broken off, no marks of writing.
        most_tools: offered at once.
    """
    r = random.Random(seed)
    if persona is None:
        persona = r.random() < 0.45
    who = None
    if persona:
        who = r.choice(PERSONAS) if r.random() < 0.5 else t.invented(r, test).split("_")[0].lower()
    c = Conversation(r, who)
    with_tools = offered in ("fitting", "others") or (offered == "any" and r.random() < 0.6)
    count = turns or r.choice([1, 1, 2, 3, 4, 6] if with_tools else [1, 2, 3, 4, 5, 6, 8, 10, 12])
    kinds: list[str] = []
    if with_tools:
        kinds = r.sample(sorted(t.KINDS), r.randint(1, most_tools))
        if skill in t.KINDS_OF and offered == "fitting":
            kinds = [*dict.fromkeys([t.KINDS_OF[skill], *kinds])][:most_tools]
    if plan is None:
        plan = [skill if (i == count - 1 and skill) else _next(r, kinds) for i in range(count)]
        if count > 1 and not test and r.random() < 0.5:
            _remember(r, plan)
    count = len(plan)
    if offered == "others":
        kinds = [k for k in kinds if k != t.KINDS_OF.get(plan[-1])] or ["alarm" if plan[-1] != "alarm" else "volume"]
    if unseen is None:
        unseen = r.random() < 0.5
    offer: list[t.Tool] = []
    for kind in r.sample(kinds, len(kinds)):
        tool = t.make_tool(r, kind, unseen, test)
        if tool.name not in {o.name for o in offer}:
            offer.append(tool)
    prompt = system(r, who) + (f"\n\n{t.block(offer)}" if offer else "")
    messages: list[Message] = [{"role": "system", "content": prompt}]
    cut: set[int] = set()
    if not scripted and r.random() < 0.25:
        greeting = r.choice([g for g in GREETINGS if who or "{name}" not in g]).format(name=cap(who or ""))
        messages.append({"role": "assistant", "content": greeting})
        c.last = greeting
    turn = None
    for i, name in enumerate(plan):
        last = i == count - 1
        c.test = test and last
        if not (test or scripted) and r.random() < 0.05:
            start = cut_off(r, Conversation(r).turn(r.choice([s for s in WEIGHTS if s not in QUIET])).said)
            if start:
                cut.add(len(messages))
                messages += [{"role": "user", "content": start}, {"role": "assistant", "content": GO_ON}]
                c.last = GO_ON
        turn = c.turn(name)
        said = turn.said
        if turn.skill != "unknown":
            if r.random() < slips:
                said = slip(r, turn)
            elif not (test or scripted) and r.random() < 0.07:
                said = turn.in_digits
            if not (test or scripted) and r.random() < 0.2:
                said = typed(r, said)
        messages.append({"role": "user", "content": said})
        answer = turn.answer
        if turn.intent and (fitting := t.fits(offer, turn.intent)):
            messages.append({"role": "assistant", "content": fitting.call(turn.intent)})
            returned, answer = t.result(r, turn, test)
            messages.append({"role": "tool", "content": returned})
            c.last = answer
        messages.append({"role": "assistant", "content": answer})
    assert turn is not None
    return Example(messages, turn, frozenset(cut))


def drill(seed: int) -> Example:
    """Something short that long dialogues do not teach, since there it is a few tokens among hundreds.

    Mostly one question and up to three tools, of which a third of the time none helps: whether to call one, and which
    value belongs to which argument. Otherwise a few turns of what is hard to say right.
    """
    r = random.Random(seed)
    choice = r.random()
    if choice < 0.3:
        return dialogue(seed, plan=r.choices(["sum", "date", "repeat", "thanks"], [6, 1, 1, 1], k=4), offered="none")
    skills = sorted(t.KINDS_OF)
    if choice < 0.75:
        skills = [skill for skill in skills if len(t.KINDS[t.KINDS_OF[skill]].arguments) > 1]
    example = dialogue(
        seed, skill=r.choice(skills), turns=1, offered="others" if choice > 0.8 else "fitting", unseen=r.random() < 0.75,
        persona=False, most_tools=r.choice([1, 2, 3]),
    )  # fmt: skip
    calls = (i for i, m in enumerate(example.messages) if m["content"].startswith("<tool_call>"))
    last = next(calls, len(example.messages) - 1)
    return Example(example.messages[: last + 1], example.turn, example.cut)


def _next(r: random.Random, kinds: list[str]) -> str:
    """A skill; with tools of these kinds mostly one that they help with, sometimes one for which a tool is missing."""
    choice = r.random() if kinds else 1.0
    if choice < 0.44:
        return r.choice([skill for skill, kind in t.KINDS_OF.items() if kind in kinds])
    if choice < 0.82:
        return r.choice([skill for skill, kind in t.KINDS_OF.items() if kind not in kinds])
    (name,) = r.choices(list(WEIGHTS), list(WEIGHTS.values()))
    return name


TOLD_AND_ASKED = [
    ("tell_name", "ask_name"), ("spell_name", "ask_name"), ("tell_colour", "ask_colour"), ("tell_code", "ask_code"),
    ("pizza", "ask_order"), ("food", "ask_order"), ("pizza", "food", "ask_order"), ("food", "pizza", "ask_order"), ("pizza", "pizza", "ask_order"),
    ("food", "food", "ask_order"), ("pizza", "food", "food", "ask_order"),
]  # fmt: skip
"""Skills that belong together: what the first ones tell, the last one asks for."""


def _remember(r: random.Random, plan: list[str]) -> None:
    """Put something that is told and asked for into a plan; by chance both would rarely meet."""
    skills = r.choice([s for s in TOLD_AND_ASKED if len(s) <= len(plan)])
    for place, skill in zip(sorted(r.sample(range(len(plan)), len(skills))), skills, strict=True):
        plan[place] = skill


def chatml(messages: list[Message]) -> str:
    return "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)


def replies(n: int, seed: int) -> list[str]:
    """`n` different things the agent says: what the voice must speak and its listeners understand."""
    out: dict[str, None] = {}
    while len(out) < n:
        out.update(
            (m["content"], None)
            for m in dialogue(seed, offered="none", persona=False).messages
            if m["role"] == "assistant"
        )
        seed += 1
    return list(out)[:n]


def sentences(n: int, seed: int, test: bool = False, skills: list[str] | None = None) -> list[str]:
    """`n` different things that callers say, in trained or in held-out wordings; a conversation decides in which order."""
    r = random.Random(seed)
    names = skills or [s for s in WEIGHTS if s != "unknown"]
    weights = [WEIGHTS[s] for s in names]
    c = Conversation(r, test=test)
    out: dict[str, None] = {}
    tries = 0
    while len(out) < n and tries < 100 * n:
        tries += 1
        (name,) = r.choices(names, weights)
        turn = c.turn(name)
        if held_out(turn.wording) == test:
            out[turn.said] = None
    return list(out)

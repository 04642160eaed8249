"""Dialogues with the starter agent: what callers say and what is answered, with memory and persona.

The answers are deterministic given the dialogue so far, so a small model can learn them by heart;
what varies is what callers say, in which order, and what has to be remembered or copied.
"""

from __future__ import annotations

import random

import domain as d

PERSONAS = "mara nova alex luna max sofia leo ruby oscar".split()
NOT_UNDERSTOOD = "Sorry, I did not understand that. Could you say it again?"
OUT_OF_DOMAIN = (
    "elephant elephants democracy river jump purple calculate philosophy banana rocket yesterday because mountain "
    "silver dragon museum violin under carpet history pencil ocean football doctor cloud engine sugar train market "
    "horse butterfly castle winter bicycle letter forest science captain bridge monkey potato planet spoon"
).split()
DOMAIN_WORDS = sorted({w for s in d.corpus(3000, 4) for w in s.split()})
CAN_DO = "I can do sums, switch lights, set timers, take a pizza order, and connect you to sales, support or billing."

Message = dict[str, str]


def spoken_number(n: int) -> str:
    if n < 0:
        return "minus " + spoken_number(-n)
    if n <= 100:
        return d.number(n)
    hundreds, rest = divmod(n, 100)
    return d.number(hundreds) + " hundred" + (f" and {d.number(rest)}" if rest else "")


def cap(text: str) -> str:
    return text[0].upper() + text[1:]


class Dialogue:
    """One conversation: remembers what its answers depend on (name, colour, last answer, persona)."""

    def __init__(self, r: random.Random) -> None:
        self.r = r
        self.name: str | None = None
        self.colour: str | None = None
        self.last: str | None = None
        self.persona: str | None = None if r.random() < 0.6 else r.choice(PERSONAS)

    def c(self, options: list[str]) -> str:
        return self.r.choice(options)

    def system(self) -> str:
        if self.persona is None:
            return self.c(
                [
                    "You are a helpful voice assistant. Be concise and warm.",
                    "You are a helpful voice assistant. Be concise and warm.",
                    "You are a friendly voice assistant.",
                    "You are an assistant. Answer in one or two short sentences.",
                ]
            )
        n = cap(self.persona)
        return self.c(
            [
                f"You are {n}. Be concise and warm.",
                f"You are {n}, a friendly voice assistant.",
                f"Your name is {n}. Answer in one or two short sentences.",
                f"You are {n}. Be brief.",
            ]
        )

    def slips(self, text: str) -> str:
        """A recogniser's slips, and the marks of somebody who types."""
        x = self.r.random()
        if x < 0.06:
            words = text.split()
            if len(words) > 4:
                words.pop(self.r.choice([0, len(words) - 1]))
            return " ".join(words)
        if x < 0.12:
            return self.c(["um ", "uh ", "so ", "okay ", "hey "]) + text
        if x < 0.32:
            return cap(text) + self.c([".", "?", "", "!"])
        return text

    def turn(self) -> tuple[str, str]:
        topics = [
            (self.sum, 18), (self.unknown, 8), (self.repeat, 7), (self.tell_name, 6), (self.ask_name, 6),
            (self.light, 7), (self.pizza, 8), (self.greet, 5), (self.bye, 4), (self.transfer, 4), (self.order, 3),
            (self.thanks, 2), (self.who, 2), (self.door, 2), (self.volume, 2), (self.timer, 3), (self.heat, 2),
            (self.drink, 2), (self.appointment, 3), (self.colours, 4), (self.time, 3), (self.weather, 2),
            (self.can_do, 2), (self.how, 2), (self.yes_no, 2), (self.robot, 2), (self.joke, 1), (self.hear, 2),
        ]  # fmt: skip
        (topic,) = self.r.choices([t for t, _ in topics], [w for _, w in topics])
        said, answer = topic()
        self.last = answer
        return self.slips(" ".join(said.split())), answer

    def greet(self) -> tuple[str, str]:
        me = f" I am {cap(self.persona)}." if self.persona else ""
        who = f" {cap(self.name)}" if self.name else ""
        said = self.c(
            ["hello", "hello", "hi", "hi there", "hey", "good morning", "good evening", "good afternoon", "hello there"]
        )
        greeting = cap(said) if said.startswith("good") else "Hello"
        return said, f"{greeting}{who}!{me} How can I help you?"

    def how(self) -> tuple[str, str]:
        return self.c(
            ["how are you", "how are you today", "how is it going", "hello how are you"]
        ), "I am fine, thank you. How can I help you?"

    def thanks(self) -> tuple[str, str]:
        return self.c(
            ["thank you", "thanks", "thanks a lot", "thank you very much", "that is great", "great thanks"]
        ), "You are welcome! Anything else?"

    def bye(self) -> tuple[str, str]:
        said = self.c(
            [
                "goodbye",
                "goodbye",
                "bye",
                "see you later",
                "good night",
                "thanks goodbye",
                "that is all for today",
                "no that is all thank you",
                "have a nice day",
                "bye bye",
            ]
        )
        return said, f"Goodbye{' ' + cap(self.name) if self.name else ''}! Have a nice day!"

    def tell_name(self) -> tuple[str, str]:
        self.name = n = self.c(d.NAMES)
        said = self.c(
            [
                f"my name is {n}",
                f"my name is {n}",
                f"i am {n}",
                f"this is {n} speaking",
                f"hello my name is {n}",
                f"hi i am {n}",
                f"call me {n}",
                f"hello this is {n}",
            ]
        )
        return said, f"Nice to meet you, {cap(n)}! How can I help you?"

    def ask_name(self) -> tuple[str, str]:
        said = self.c(["what is my name", "what is my name", "do you remember my name", "who am i", "tell me my name"])
        return said, f"Your name is {cap(self.name)}." if self.name else "I do not know your name yet. What is it?"

    def who(self) -> tuple[str, str]:
        said = self.c(["what is your name", "who are you", "tell me about yourself", "who is this"])
        return (
            said,
            f"I am {cap(self.persona)}, your voice assistant." if self.persona else "I am your voice assistant.",
        )

    def robot(self) -> tuple[str, str]:
        said = self.c(
            [
                "are you a robot",
                "are you real",
                "are you a human",
                "who made you",
                "do you work without the internet",
                "where are you",
            ]
        )
        return said, "I am a small computer program. I run right here, without the internet."

    def joke(self) -> tuple[str, str]:
        return self.c(
            ["tell me a joke", "tell me something", "sing a song", "tell me a joke please"]
        ), "Why did the computer go to the doctor? It had a virus!"

    def hear(self) -> tuple[str, str]:
        return self.c(
            ["can you hear me", "hello can you hear me", "are you there", "do you hear me"]
        ), "Yes, I can hear you. How can I help you?"

    def sum(self) -> tuple[str, str]:
        op = self.c(["plus", "plus", "minus", "times"])
        top = 12 if op == "times" else self.r.choice([12, 12, 20, 30, 50])
        a, b = self.r.randint(0, top), self.r.randint(0, top)
        result = a + b if op == "plus" else a - b if op == "minus" else a * b
        said = self.c(
            ["what is ", "what is ", "how much is ", "can you tell me what is ", "calculate ", "", "tell me what is "]
        )
        return (
            said + f"{d.number(a)} {op} {d.number(b)}",
            f"{cap(d.number(a))} {op} {d.number(b)} is {spoken_number(result)}.",
        )

    def light(self) -> tuple[str, str]:
        room, kind = self.c(d.ROOMS), self.r.random()
        pre = self.c(["", "", "please ", "can you ", "hey ", "could you please "])
        post = self.c(["", "", "", " please", " now", " thanks"])
        if kind < 0.6:
            on = self.c(["on", "off"])
            said = self.c(
                [
                    f"turn {on} the light in the {room}",
                    f"turn the {room} light {on}",
                    f"switch {on} the lights in the {room}",
                    f"switch {on} the {room} lights",
                    f"lights {on} in the {room}",
                ]
            )
            return pre + said + post, f"Okay, the light in the {room} is {on}."
        if kind < 0.8:
            colour = self.c(d.COLORS)
            said = self.c(
                [
                    f"make the {room} light {colour}",
                    f"set the {room} light to {colour}",
                    f"change the light in the {room} to {colour}",
                ]
            )
            return pre + said + post, f"Okay, the light in the {room} is {colour} now."
        n = d.number(self.r.randint(1, 100))
        return pre + self.c(
            [f"dim the {room} light to {n} percent", f"set the {room} lights to {n} percent"]
        ), f"Okay, the light in the {room} is at {n} percent."

    def door(self) -> tuple[str, str]:
        thing = self.c(
            ["front door", "back door", "garage door", "window", "kitchen window", "bedroom window", "garden door"]
        )
        verb, done = self.r.choice([("open", "open"), ("close", "closed"), ("lock", "locked"), ("unlock", "unlocked")])
        return self.c(["", "please ", "can you "]) + f"{verb} the {thing}", f"Okay, the {thing} is {done} now."

    def volume(self) -> tuple[str, str]:
        n = d.number(self.r.randint(0, 100))
        said, answer = self.r.choice(
            [
                (
                    ["turn up the volume", "turn the music up", "louder please", "speak louder please"],
                    "Okay, it is louder now.",
                ),
                (["turn down the volume", "turn the music down", "be quiet"], "Okay, it is quieter now."),
                ([f"set the volume to {n}", f"set the volume to {n} percent"], f"Okay, the volume is at {n}."),
                (["play some music"], "Okay, here is some music."),
                (["stop the music", "mute the music"], "Okay, the music is off."),
                (["next song", "play the next song"], "Okay, here is the next song."),
            ]
        )
        return self.c(said), answer

    def timer(self) -> tuple[str, str]:
        n, unit = d.number(self.r.randint(2, 60)), self.c(["minutes", "seconds", "hours"])
        if self.r.random() < 0.2:
            return self.c(["cancel the timer", "stop the alarm"]), "Okay, it is cancelled."
        said = self.c(
            [
                f"set a timer for {n} {unit}",
                f"start a timer for {n} {unit}",
                f"remind me in {n} {unit}",
                f"please set a timer for {n} {unit}",
            ]
        )
        return said, f"Okay, the timer is set for {n} {unit}."

    def heat(self) -> tuple[str, str]:
        n, room = d.number(self.r.randint(10, 30)), self.c(d.ROOMS)
        return self.r.choice(
            [
                (f"set the temperature to {n} degrees", f"Okay, the temperature is set to {n} degrees."),
                (f"set the {room} to {n} degrees", f"Okay, the {room} is set to {n} degrees."),
                ("make it warmer", "Okay, I am making it warmer."),
                ("make it colder", "Okay, I am making it colder."),
                ("turn on the heating", "Okay, the heating is on."),
                ("turn off the heating", "Okay, the heating is off."),
            ]
        )

    def pizza(self) -> tuple[str, str]:
        size, one, two = self.c(d.SIZES), self.c(d.TOPPINGS), self.c(d.TOPPINGS)
        count = self.c(["a", "a", "one", "two", "three", "four"])
        pizza = f"{count} {size} {'pizza' if count in ('a', 'one') else 'pizzas'}"
        ask = self.c(["i would like ", "i would like ", "i want ", "can i have ", "can i get ", ""])
        said, answer = self.r.choice(
            [
                (f"{ask}{pizza} with {one}", f"Okay, {pizza} with {one}. Anything else?"),
                (f"{ask}{pizza} with {one}", f"Okay, {pizza} with {one}. Anything else?"),
                (f"{ask}{pizza} with {one} and {two}", f"Okay, {pizza} with {one} and {two}. Anything else?"),
                (f"{ask}{pizza}", f"Okay, {pizza}. What would you like on it?"),
                ("i want to order a pizza", "Sure! What size would you like: small, medium or large?"),
                ("i would like to order a pizza please", "Sure! What size would you like: small, medium or large?"),
                (f"add {one}", f"Okay, I added {one}. Anything else?"),
                (f"{size} please", f"Okay, {size}. What would you like on it?"),
                (f"no {one} please", f"Okay, no {one}. Anything else?"),
                ("that is my order", "Thank you! Your order is on its way."),
            ]
        )
        return said, answer

    def drink(self) -> tuple[str, str]:
        x = self.c(d.DRINKS)
        return self.c(
            [f"i would like some {x}", f"a {x} please", f"can i have {x}", f"and {x} please", f"i also want {x}"]
        ), f"Okay, {x}. Anything else?"

    def order(self) -> tuple[str, str]:
        if self.r.random() < 0.25:
            return self.c(
                ["where is my order", "i have a question about my order", "when will it arrive"]
            ), "What is your order number?"
        i = " ".join(self.c(d.ONES[:10]) for _ in range(self.r.choice([3, 4, 5])))
        said = self.c(
            [
                f"where is my order {i}",
                f"what is the status of order {i}",
                f"check order {i} please",
                f"i am calling about order {i}",
                f"my order number is {i}",
                f"can you look up order {i}",
            ]
        )
        return said, f"I can not look up order {i} right now."

    def transfer(self) -> tuple[str, str]:
        x = self.c(d.DEPTS)
        said = self.c(
            [
                f"transfer me to {x}",
                f"transfer me to {x}",
                f"i want to talk to {x}",
                f"can i speak to someone in {x}",
                f"connect me to {x} please",
                f"put me through to {x}",
                f"i have a question for {x}",
            ]
        )
        return said, f"Of course, I am connecting you to {x}."

    def appointment(self) -> tuple[str, str]:
        day, hour, kind = self.c(d.DAYS), self.c(d.ONES[1:13]), self.r.random()
        if kind < 0.25:
            return self.c(
                ["i need to make an appointment", "i want to book an appointment"]
            ), "Sure! Which day would you like?"
        if kind < 0.45:
            return self.c(
                [f"i would like an appointment on {day}", f"do you have time on {day}"]
            ), f"{cap(day)} is fine. At what time?"
        said = self.c(
            [
                f"book an appointment on {day} at {hour}",
                f"can i come on {day} at {hour}",
                f"make an appointment for {day} at {hour} please",
                f"on {day} at {hour}",
                f"{day} at {hour}",
            ]
        )
        return said, f"Okay, your appointment is on {cap(day)} at {hour}."

    def colours(self) -> tuple[str, str]:
        if self.r.random() < 0.5:
            self.colour = self.c(d.COLORS)
            return self.c(
                [f"my favourite colour is {self.colour}", f"i like {self.colour}"]
            ), f"{cap(self.colour)} is a nice colour!"
        return (
            "what is my favourite colour",
            f"Your favourite colour is {self.colour}." if self.colour else "I do not know yet. What is it?",
        )

    def time(self) -> tuple[str, str]:
        said = self.c(
            [
                "what time is it",
                "what time is it",
                "what is the time",
                "can you tell me the time",
                "what day is it today",
                "what is the date today",
                "tell me the time please",
                "what day is it",
            ]
        )
        return said, "I am sorry, I can not see a clock from here."

    def weather(self) -> tuple[str, str]:
        when = self.c(["", " today", " tomorrow", " in " + self.c(d.CITIES)])
        return self.c(
            [
                "what is the weather",
                "how is the weather",
                "what is the weather like",
                "will it rain",
                "do i need a coat",
                "tell me the weather",
            ]
        ) + when, "I am sorry, I can not see the weather from here."

    def can_do(self) -> tuple[str, str]:
        return self.c(
            ["what can you do", "how can you help me", "can you help me", "i need help", "what is this"]
        ), CAN_DO

    def repeat(self) -> tuple[str, str]:
        said = self.c(
            [
                "repeat that please",
                "say that again",
                "can you repeat that",
                "can you repeat that",
                "what did you say",
                "i did not hear you",
                "repeat that",
            ]
        )
        return said, self.last or "I have not said anything yet."

    def yes_no(self) -> tuple[str, str]:
        return self.r.choice(
            [
                ("yes", "Okay! How can I help you?"),
                ("no", "Okay. Anything else?"),
                ("no thank you", "Okay. Goodbye!"),
                ("never mind", "Okay, never mind."),
                ("cancel", "Okay, it is cancelled."),
                ("stop", "Okay."),
                ("wait", "Okay, I am waiting."),
                ("one moment please", "Of course, take your time."),
            ]
        )

    def unknown(self) -> tuple[str, str]:
        """Outside the domain: foreign words, domain words in no sensible order, noise."""
        kind, r = self.r.random(), self.r
        if kind < 0.45:
            said = " ".join(r.sample(OUT_OF_DOMAIN, r.randint(2, 6)))
        elif kind < 0.85:
            bag = [r.choice(OUT_OF_DOMAIN if r.random() < 0.3 else DOMAIN_WORDS) for _ in range(r.randint(3, 7))]
            said = " ".join(bag)
        else:
            said = " ".join(
                "".join(self.c(list("abcdefghijklmnopqrstuvwxyz")) for _ in range(r.randint(3, 8)))
                for _ in range(r.randint(1, 3))
            )
        return said, NOT_UNDERSTOOD


def render(seed: int) -> list[Message]:
    """A whole dialogue as chat messages, the same for the same seed."""
    r = random.Random(seed)
    dialogue = Dialogue(r)
    messages = [{"role": "system", "content": dialogue.system()}]
    for _ in range(r.choice([1, 2, 3, 4, 5, 6, 8, 10, 13])):
        said, answer = dialogue.turn()
        messages += [{"role": "user", "content": said}, {"role": "assistant", "content": answer}]
    return messages


def chatml(messages: list[Message]) -> str:
    return "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)


def replies(n: int, seed: int) -> list[str]:
    """`n` different things the agent says: what the voice must speak and its listeners understand."""
    out: dict[str, None] = {}
    while len(out) < n:
        out.update((m["content"], None) for m in render(seed) if m["role"] == "assistant")
        seed += 1
    return list(out)[:n]

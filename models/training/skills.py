"""What the starter agent can do: for each skill the wordings of callers and the right answer.

Answers are deterministic given the conversation so far, so that a small model can learn them and a test can
compare them to the letter.
"""

from __future__ import annotations

import pydoc_data.topics
import random
import re
import zlib
from dataclasses import dataclass, field

import lexicon as x
from wording import draw

NOT_UNDERSTOOD = "Sorry, I did not understand that. Could you say it again?"
CAN_DO = "I can do sums, switch lights, set timers, take a pizza order, and connect you to sales, support or billing."
UNCLEAR = "[unclear]"
"""What the recogniser writes for words that it does not know."""
ASK = "(||||please |can you |could you |could you please |can you please |would you |hey |okay |so |um |i would like you to |i want you to )"
END = "(||||| please| now| thanks| thank you| for me)"
TELL = "(what is|can you tell me what is|tell me what is|do you know what is|how much is|calculate|could you tell me what is|please tell me what is|so what is|and what is|)"
WANT = (
    "(i would like|i want|can i have|can i get|could i have|i will have|give me|i will take|could i get|let me have|)"
)
LIGHT = "(light|lights|lamp)"


@dataclass(frozen=True)
class Intent:
    """What a tool would be called for: the values by the names that `tools.py` knows."""

    name: str
    values: dict[str, str | int | bool]


@dataclass(frozen=True)
class Turn:
    """A caller's turn: its wording, how its slots are filled, and what is answered."""

    skill: str
    wording: str
    answer: str
    slots: dict[str, str] = field(default_factory=dict)
    intent: Intent | None = None

    @property
    def in_digits(self) -> str:
        """As somebody types it: numbers up to a hundred and order numbers in digits."""
        slots = {k: str(VALUES[v]) if v in VALUES else v for k, v in self.slots.items()}
        if "id" in slots:
            slots["id"] = "".join(str(x.DIGITS.index(d)) for d in slots["id"].split())
        return " ".join(self.wording.format(**slots).split())

    @property
    def said(self) -> str:
        return " ".join(self.wording.format(**self.slots).split())


VALUES = {x.number(n): n for n in range(101)}


def cap(text: str) -> str:
    return text[:1].upper() + text[1:]


def listed(things: list[str]) -> str:
    return things[0] if len(things) == 1 else ", ".join(things[:-1]) + " and " + things[-1]


def prose(test: bool) -> list[str]:
    """Ordinary English that is outside the domain: sentences of the documentation that comes with Python."""
    text = re.sub(r"\s+", " ", re.sub(r"[*`\"]", "", " ".join(pydoc_data.topics.topics.values())))
    sentences = sorted({s.lower().strip(".").replace(",", "") for s in re.findall(r"[A-Z][a-z ,']{15,90}[.]", text)})
    return [s for s in sentences if (zlib.crc32(s.encode()) % 6 == 0) == test]


OUT_OF_DOMAIN = (
    "elephant elephants democracy river jump calculate philosophy banana rocket yesterday because mountain silver dragon museum "
    "violin under carpet history pencil ocean football doctor cloud engine sugar train market horse butterfly castle winter "
    "bicycle letter forest science captain bridge monkey planet spoon potato camera nephew volcano insurance guitar tunnel"
).split()
PROSE = {test: prose(test) for test in (False, True)}


class Conversation:
    """Says what callers say and answers it, remembering what the answers depend on."""

    def __init__(self, r: random.Random, persona: str | None = None, test: bool = False) -> None:
        self.r, self.persona, self.test = r, persona, test
        self.name: str | None = None
        self.colour: str | None = None
        self.code: str | None = None
        self.last: str | None = None
        self.order: list[str] = []
        self.size: str | None = None
        """Of the pizza whose topping the last answer asked for."""
        self.day: str | None = None
        """Of the appointment whose time the last answer asked for."""
        self.next_size: str | None = None
        self.next_day: str | None = None

    def one(self, options: list[str]) -> str:
        return self.r.choice(options)

    def turn(self, skill: str | None = None) -> Turn:
        """A turn of the named skill, or of any."""
        if skill is None:
            (skill,) = self.r.choices(list(WEIGHTS), list(WEIGHTS.values()))
        made: Turn = getattr(self, skill)()
        self.last = made.answer
        # a question of the agent is open only until the next turn
        self.size, self.day, self.next_size, self.next_day = self.next_size, self.next_day, None, None
        return made

    def say(self, skill: str, patterns: list[str], answer: str, intent: Intent | None = None, **slots: str) -> Turn:
        wording = draw(self.r, patterns, self.test)
        return Turn(skill, wording, answer, slots, intent)

    # social

    def greet(self) -> Turn:
        me = f" I am {cap(self.persona)}." if self.persona else ""
        who = f" {cap(self.name)}" if self.name else ""
        kind = self.one(["hello", "hello", "hello", "good morning", "good evening", "good afternoon"])
        patterns = {
            "hello": ["hello", "hello", "hi", "hi there", "hey", "hello there", "hey there", "hello again", "hi hello"],
        }.get(kind, [kind, f"{kind} to you", f"hello {kind}", f"hi {kind}"])
        return self.say("greet", patterns, f"{cap(kind)}{who}!{me} How can I help you?")

    def how(self) -> Turn:
        return self.say(
            "how",
            ["(|hello |hi |hey |and |so )(how are you|how are you today|how is it going|how are you doing|how do you do)(| today)",
             "nice to meet you"],
            "I am fine, thank you. How can I help you?",
        )  # fmt: skip

    def thanks(self) -> Turn:
        patterns = ["(|okay |great |all right )(thank you|thanks|thanks a lot|thank you very much|thank you so much|many thanks)",
                    "that is (great|good|nice|very good|very nice)(| thank you| thanks)", "(sounds good|great|perfect|very good)"]  # fmt: skip
        return self.say("thanks", patterns, "You are welcome! Anything else?")

    def bye(self) -> Turn:
        patterns = ["(goodbye|bye|bye bye|see you later|good night|see you|have a nice day)",
                    "(thanks|thank you|okay|all right|great)(| then) (goodbye|bye|bye bye|see you later|good night)",
                    "(that is all|that was all|that is it)( for today| for now|)(| thank you| thanks| goodbye)",
                    "no(| thank you| thanks) that is all(| thank you| thanks| goodbye| for today)"]  # fmt: skip
        answer = f"Goodbye{' ' + cap(self.name) if self.name else ''}! Have a nice day!"
        return self.say("bye", patterns, answer, Intent("hang_up", {}))

    def joke(self) -> Turn:
        patterns = [f"{ASK}tell me (a joke|something|something funny|another joke|a story){END}", f"{ASK}(sing a song|make me laugh){END}",
                    "do you know (a joke|a story|a song)"]  # fmt: skip
        return self.say("joke", patterns, "Why did the computer go to the doctor? It had a virus!")

    def hear(self) -> Turn:
        patterns = [
            "(|hello |hey |hi |so |okay )(can you hear me|are you there|do you hear me|are you still there|is anybody there|is anyone there)(| now)"
        ]
        return self.say("hear", patterns, "Yes, I can hear you. How can I help you?")

    def robot(self) -> Turn:
        patterns = ["(|hey |so |tell me )(are you a robot|are you real|are you a computer|are you human|are you a person|are you a machine|are you a real person)",
                    "am i (talking|speaking) to a (robot|machine|computer|human|person)"]  # fmt: skip
        return self.say("robot", patterns, "I am a computer program that runs right here, without the internet.")

    def who(self) -> Turn:
        me = f"I am {cap(self.persona)}, your voice assistant." if self.persona else "I am your voice assistant."
        patterns = ["(|and |so |hey |hello |okay )(what is your name|who are you|who am i talking to|what are you called|who is this|tell me your name|who am i speaking to)",
                    "(do you have a name|can you tell me your name|what should i call you|tell me about yourself|may i know your name)"]  # fmt: skip
        return self.say("who", patterns, me)

    def made(self) -> Turn:
        patterns = ["(who made you|where are you|where do you live|who built you|where do you run)",
                    "do you (work without|need) the internet", "do you speak english"]  # fmt: skip
        return self.say("made", patterns, "I run right here on this machine, without the internet, in English.")

    def can_do(self) -> Turn:
        patterns = ["(|so |and |hello |hey )(what can you do|how can you help me|can you help me|i need help|what is this|what do you do|can you help me please|i need some help)",
                    "(tell me what you can do|what can i ask you|what can i say|help|help me|help me please|what can you do for me|what do you know)"]  # fmt: skip
        return self.say("can_do", patterns, CAN_DO)

    def yes_no(self) -> Turn:
        patterns, answer = self.r.choice([
            (["(|yes |okay |oh )(yes|yes please|sure|of course|exactly|correct|that is right|that is correct|this is correct|that is it exactly)"], "Okay! How can I help you?"),
            (["(|no |oh |well )(no|no thanks|not now|that is wrong|that is not right|this is wrong|not really|not at the moment)"], "All right. I am here if you need me."),
            (["no thank you"], "All right. I am here if you need me."),
            (["(|okay |oh |no |well )(never mind|forget it|it does not matter|that does not matter|forget about it)(| now| thanks)"], "Okay, never mind."),
            (["(stop|okay|all right|i see|be quiet|maybe|i do not know|go on)"], "Okay."),
            (["(|okay |oh |please |um )(wait|hold on|one moment|just a moment|wait a moment|give me a moment|just a second|one second|hold on a moment|give me a second)(| please)"], "Of course, take your time."),
        ])  # fmt: skip
        return self.say("yes_no", patterns, answer)

    def speech(self) -> Turn:
        how = self.one(["louder", "slower", "faster"])
        answer = f"Okay, I will try to speak {how}."
        return self.say("speech", [f"{ASK}speak (a little |a bit |){how}{END}", f"(|hey |sorry |okay )(you are too {OPPOSITE[how]}|i can not hear you well|i can hardly hear you|i can not hear you|you speak too {OPPOSITE[how]})" if how == "louder" else f"(|hey |sorry |okay )you (are speaking|are talking|speak|talk) too {OPPOSITE[how]}(| for me)"], answer)  # fmt: skip

    # memory

    def tell_name(self) -> Turn:
        self.name = n = self.one(x.NAMES)
        patterns = ["(|hello |hi |hey |well |okay |good morning )(my name is {name}|i am {name}|this is {name}|this is {name} speaking|{name} is my name|it is {name}|{name} here)",
                    "(you can call me {name}|call me {name}|please call me {name}|the name is {name}|i am called {name}|just call me {name}|people call me {name})"]  # fmt: skip
        return self.say("tell_name", patterns, f"Nice to meet you, {cap(n)}! How can I help you?", name=n)

    def spell_name(self) -> Turn:
        self.name = n = self.one(x.NAMES)
        patterns = [
            "(|my name is spelled |it is spelled |i spell it |that is spelled |you spell it |the name is |i will spell it ){letters}"
        ]
        return self.say("spell_name", patterns, f"Thank you, {cap(n)}. How can I help you?", letters=" ".join(n))

    def ask_name(self) -> Turn:
        patterns = [
            "(|and |so |hey |okay |now )(what is my name|do you remember my name|do you know my name|who am i|tell me my name|what was my name|can you tell me my name|say my name)"
        ]
        return self.say(
            "ask_name",
            patterns,
            f"Your name is {cap(self.name)}." if self.name else "I do not know yet. What is your name?",
        )

    def tell_colour(self) -> Turn:
        self.colour = k = self.one(x.COLOURS)
        patterns = ["(my favourite colour is {colour}|i like {colour}|i love {colour}|{colour} is my favourite colour|i like the colour {colour}|the colour i like is {colour}|"
                    "my colour is {colour}|the best colour is {colour}|i really like {colour}|{colour} is the colour i like|i like {colour} best)"]  # fmt: skip
        return self.say(
            "tell_colour", ["(|and |well |okay |so )" + p for p in patterns], f"{cap(k)} is a nice colour!", colour=k
        )

    def ask_colour(self) -> Turn:
        patterns = ["(|and |so |hey |okay )(what is my favourite colour|which colour do i like|do you remember my favourite colour|what colour do i like|tell me my favourite colour|"
                    "do you know my favourite colour|what was my favourite colour|which colour is my favourite)"]  # fmt: skip
        return self.say(
            "ask_colour",
            patterns,
            f"Your favourite colour is {self.colour}." if self.colour else "I do not know yet. What is it?",
        )

    def tell_code(self) -> Turn:
        self.code = k = " ".join(self.one(self.r.choice([x.LETTERS, x.DIGITS])) for _ in range(self.r.randint(2, 4)))
        patterns = [
            "(my code is|the code is|my customer number is|remember the code|the password is|my code word is|here is my code|i have the code) {code}"
        ]
        return self.say("tell_code", patterns, f"I noted {k}.", code=k)

    def ask_code(self) -> Turn:
        patterns = [
            "(|and |so |okay )(what is|what was|do you remember|tell me|do you know|can you tell me|repeat) (my code|the code|my customer number|the password)"
        ]
        return self.say(
            "ask_code", patterns, f"You told me {self.code}." if self.code else "I do not know yet. What is it?"
        )

    def repeat(self) -> Turn:
        patterns = ["(|sorry |okay |hey |um )(repeat that|say that again|can you repeat that|what did you say|i did not hear you|say it again|what was that|can you say that again|could you repeat that|"
                    "could you say that again|please repeat that|please say that again|i did not hear that|come again|what did you just say|tell me again|i did not understand you|once more)(| please)"]  # fmt: skip
        return self.say("repeat", patterns, self.last or "I have not said anything yet.")

    # sums and numbers

    def sum(self) -> Turn:
        op = self.one(["plus", "plus", "minus", "times"])
        top = 12 if op == "times" else self.r.choice([12, 20, 50, 50])
        a, b = self.r.randint(0, top), self.r.randint(0, top)
        result = a + b if op == "plus" else a - b if op == "minus" else a * b
        patterns = [f"{TELL} {{a}} {op} {{b}}", f"{TELL} {{a}} {op} {{b}}{END}"]
        if op == "plus":
            patterns.append(f"{ASK}add {{a}} and {{b}}{END}")
        if op == "times":
            patterns.append(f"{ASK}multiply {{a}} (by|and|with) {{b}}{END}")
        intent = Intent("calculate", {"a": a, "b": b, "operation": op})
        said_a, said_b = x.number(a), x.number(b)
        return self.say(
            "sum", patterns, f"{cap(said_a)} {op} {said_b} is {x.number(result)}.", intent, a=said_a, b=said_b
        )

    def number(self) -> Turn:
        top = self.r.choice([100, 100, 1000, 9999])
        n = (
            x.number(self.r.randint(0, top))
            if self.r.random() < 0.6
            else " ".join(self.one(x.DIGITS) for _ in range(self.r.randint(3, 5)))
        )
        return self.say(
            "number",
            ["(|it is |number |the number is |the number ){n}"],
            f"You said {n}. What should I do with it?",
            n=n,
        )

    # the house

    def light(self) -> Turn:
        room, on = self.one(x.ROOMS), self.one(["on", "off"])
        patterns = [f"{ASK}(turn|switch|put) {{on}} the {LIGHT} in the {{room}}{END}", f"{ASK}(turn|switch) the {{room}} {LIGHT} {{on}}{END}",
                    f"{ASK}(turn|switch) {{on}} the {{room}} {LIGHT}{END}", f"{LIGHT} {{on}} in the {{room}}{END}", f"{ASK}(turn|switch|put) the {LIGHT} {{on}} in the {{room}}{END}",
                    "{room} lights {on}", "i need the (light|lights) {on} in the {room}", "i want the (light|lights) in the {room} {on}"]  # fmt: skip
        return self.say(
            "light",
            patterns,
            f"Okay, the light in the {room} is {on}.",
            Intent("light", {"room": room, "state": on}),
            room=room,
            on=on,
        )

    def light_all(self) -> Turn:
        on = self.one(["on", "off"])
        patterns = [f"{ASK}(turn|switch|put) {{on}} all (the |)(lights|lamps){END}", f"all (the |)lights {{on}}{END}", f"{ASK}(turn|switch) all (the |)(lights|lamps) {{on}}{END}",
                    f"{ASK}(turn|switch) {{on}} every (light|lamp){END}"]  # fmt: skip
        return self.say("light_all", patterns, f"Okay, all the lights are {on}.", on=on)

    def light_colour(self) -> Turn:
        room, colour = self.one(x.ROOMS), self.one(x.COLOURS)
        patterns = [f"{ASK}(make|turn) the {{room}} {LIGHT} {{colour}}{END}", f"{ASK}(set|change|turn) the {{room}} {LIGHT} to {{colour}}{END}",
                    f"{ASK}(set|change|turn) the {LIGHT} in the {{room}} to {{colour}}{END}", f"{ASK}make the {LIGHT} in the {{room}} {{colour}}{END}",
                    "i want (a |){colour} (light|lights) in the {room}", "i would like (a |){colour} (light|lights) in the {room}"]  # fmt: skip
        return self.say("light_colour", patterns, f"Okay, the light in the {room} is {colour} now.", Intent("light_colour", {"room": room, "colour": colour}), room=room, colour=colour)  # fmt: skip

    def light_level(self) -> Turn:
        room, n = self.one(x.ROOMS), self.r.randint(1, 100)
        patterns = [f"{ASK}(dim|set) the {{room}} {LIGHT} to {{n}} percent{END}", f"{ASK}(dim|set) the {LIGHT} in the {{room}} to {{n}} percent{END}",
                    "{room} (light|lights) (at|to) {n} percent"]  # fmt: skip
        return self.say("light_level", patterns, f"Okay, the light in the {room} is at {x.number(n)} percent.", Intent("light_level", {"room": room, "level": n}), room=room, n=x.number(n))  # fmt: skip

    def door(self) -> Turn:
        thing = self.one(x.DOORS)
        verb, done = self.r.choice([("open", "open"), ("close", "closed"), ("lock", "locked"), ("unlock", "unlocked")])
        patterns = [
            f"{ASK}{{verb}} the {{thing}}{END}",
            "i (want|would like|need) to {verb} the {thing}(| please| now)",
            "(i need|i want|i would like) the {thing} {done}(| please| now)",
        ]
        return self.say(
            "door",
            patterns,
            f"Okay, the {thing} is {done} now.",
            Intent("door", {"door": thing, "action": verb}),
            verb=verb,
            thing=thing,
            done=done,
        )

    def ask_door(self) -> Turn:
        thing, state = self.one(x.DOORS), self.one(["open", "closed", "locked"])
        patterns = [
            "(|hey |so |and |okay |can you tell me )is the {thing} (|still |really ){state}(| now| please)",
            "(|hey |so |and |okay )did i leave the {thing} {state}(| again)",
            f"{ASK}(check|tell me|see|look) (if|whether) the {{thing}} is (|still ){{state}}{END}",
            "(|do you know |can you see )(if|whether) the {thing} is (|still ){state}",
        ]
        return self.say(
            "ask_door",
            patterns,
            f"I am sorry, I can not see the {thing} from here.",
            Intent("ask_door", {"door": thing}),
            thing=thing,
            state=state,
        )

    def volume(self) -> Turn:
        n = self.r.randint(0, 100)
        patterns, answer, intent = self.r.choice([
            ([f"{ASK}(turn up the (volume|music)|turn the (volume|music) up|make the music louder|make it louder){END}", "louder(| please)", "(|hey |so )the music is (too|so|very) quiet"], "Okay, it is louder now.", None),
            ([f"{ASK}(turn down the (volume|music)|turn the (volume|music) down|make the music quieter|make it quieter){END}", "quieter(| please)", "(|hey |so )the music is (too|so|very) loud"], "Okay, it is quieter now.", None),
            ([f"{ASK}(set|turn|put|change) the volume to {{n}}(| percent){END}", "volume {n}(| percent)", "volume to {n}(| percent)"], f"Okay, the volume is at {x.number(n)}.", Intent("volume", {"level": n})),
            ([f"{ASK}(play|start) (some |the |)music{END}", "i (want|would like|need) to (hear|listen to) (some |)music(| please)", "(some |)music please"], "Okay, here is some music.", None),
            ([f"{ASK}(stop|mute) the music{END}", "no more music(| please)", f"{ASK}(turn|switch) (the music off|off the music){END}"], "Okay, the music is off.", None),
            ([f"{ASK}(play |skip to |)the next song{END}", "next song(| please)", "(skip this song|another song please)"], "Okay, here is the next song.", None),
        ])  # fmt: skip
        return self.say("volume", patterns, answer, intent, n=x.number(n))

    def timer(self) -> Turn:
        n, unit = self.r.randint(2, 60), self.one(["minutes", "seconds", "hours"])
        patterns = [f"{ASK}(set|start|make) a timer for {{n}} {{unit}}{END}", f"{ASK}remind me in {{n}} {{unit}}{END}", "timer (for |){n} {unit}(| please)", "i need a timer for {n} {unit}(| please)",
                    f"{ASK}set (the|a) timer to {{n}} {{unit}}{END}", f"{ASK}(wake me up|call me) in {{n}} {{unit}}{END}"]  # fmt: skip
        return self.say(
            "timer",
            patterns,
            f"Okay, the timer is set for {x.number(n)} {unit}.",
            Intent("timer", {"amount": n, "unit": unit}),
            n=x.number(n),
            unit=unit,
        )

    def alarm(self) -> Turn:
        hour = self.clock()
        patterns = [
            f"{ASK}wake me up at {{hour}}{END}",
            f"{ASK}(set|make) an alarm for {{hour}}{END}",
            "alarm at {hour}(| please)",
            f"{ASK}set (the|my) alarm (to|for) {{hour}}{END}",
        ]
        return self.say(
            "alarm", patterns, f"Okay, the alarm is set for {hour}.", Intent("alarm", {"time": hour}), hour=hour
        )

    def cancel(self) -> Turn:
        patterns = [
            f"{ASK}(cancel|stop) the (timer|alarm){END}",
            f"{ASK}cancel my appointment{END}",
            "cancel(| that| please)",
            f"{ASK}cancel that{END}",
            f"{ASK}(turn off|switch off) the (timer|alarm){END}",
        ]
        return self.say("cancel", patterns, "Okay, it is cancelled.")

    def time_left(self) -> Turn:
        return self.say(
            "time_left",
            [
                "(|so |and )(how much time is left|how long is left|how much time do i have|how much time is left on the timer)"
            ],
            "I am sorry, I can not see the timer from here.",
        )

    def heat(self) -> Turn:
        n, room = self.r.randint(10, 30), self.one(x.ROOMS)
        both = Intent("heat", {"room": room, "degrees": n})
        patterns, answer, intent = self.r.choice([
            ([f"{ASK}(set|turn|change) the temperature to {{n}} degrees{END}", "i (want|need|would like) {n} degrees", "temperature to {n} degrees"], f"Okay, the temperature is set to {x.number(n)} degrees.", None),
            ([f"{ASK}(set|heat|warm|turn) the {{room}} to {{n}} degrees{END}", f"{ASK}set the temperature in the {{room}} to {{n}} degrees{END}", "i (want|need|would like) {n} degrees in the {room}"], f"Okay, the {room} is set to {x.number(n)} degrees.", both),
            ([f"{ASK}(make it warmer|turn up the (heating|heat)){END}", "(|hey |so |now )(i am cold|i am too cold|it is too cold|warmer please|it is cold)(| in here| now)"], "Okay, I am making it warmer.", None),
            ([f"{ASK}(make it colder|turn down the (heating|heat)){END}", "(|hey |so |now )(i am hot|i am too hot|it is too hot|it is too warm|colder please|it is warm|it is hot)(| in here| now)"], "Okay, I am making it colder.", None),
            ([f"{ASK}(turn|switch) on the heating{END}", f"{ASK}(turn|switch) the heating on{END}"], "Okay, the heating is on.", None),
            ([f"{ASK}(turn|switch) off the heating{END}", f"{ASK}(turn|switch) the heating off{END}"], "Okay, the heating is off.", None),
        ])  # fmt: skip
        return self.say("heat", patterns, answer, intent, n=x.number(n), room=room)

    def ask_heat(self) -> Turn:
        room = self.one(x.ROOMS)
        patterns = [
            "(|can you tell me |and |so )(how (warm|cold|hot) is it in the {room}|what is the temperature in the {room}|how many degrees is it in the {room})(| now)"
        ]
        return self.say(
            "ask_heat",
            patterns,
            f"I am sorry, I can not measure the {room} from here.",
            Intent("ask_heat", {"room": room}),
            room=room,
        )

    # food

    def pizza(self) -> Turn:
        size, one, two = self.one(x.SIZES), *self.r.sample(x.TOPPINGS, 2)
        count = self.one(["a", "a", "a", "one", "two", "three", "four"])
        word = "pizza" if count in ("a", "one") else "pizzas"
        slots = {"count": count, "size": size, "pizza": word, "topping": one, "other": two}
        item = f"{count} {size} {word}"
        kind = self.r.random()
        values: dict[str, str | int | bool] = {
            "size": size,
            "count": 1 if count == "a" else x.ONES.index(count),
            "topping": one,
        }
        if kind < 0.45:
            return self.ordered("pizza", [f"{WANT} {{count}} {{size}} {{pizza}} with {{topping}}(| please)", "i (want|would like) to order {count} {size} {pizza} with {topping}(| please)"],
                                f"{item} with {one}", Intent("pizza", values), **slots)  # fmt: skip
        if kind < 0.75:
            return self.ordered(
                "pizza",
                [f"{WANT} {{count}} {{size}} {{pizza}} with {{topping}} and {{other}}(| please)"],
                f"{item} with {one} and {two}",
                None,
                **slots,
            )
        if kind < 0.9:
            made = self.say(
                "pizza",
                [f"{WANT} {{count}} {{size}} {{pizza}}(| please)"],
                f"Okay, {item}. What would you like on it?",
                None,
                **slots,
            )
            self.next_size = item
            return made
        return self.say("pizza", [f"{WANT} a pizza(| please)", "(i want|i would like|can i|i need) to order (a|some) pizza(| please)", "(a pizza please|i am hungry|can i order a pizza|i want pizza)"],
                        "Sure! What size would you like: small, medium or large?")  # fmt: skip

    def size_only(self) -> Turn:
        size = self.one(x.SIZES)
        self.next_size = f"a {size} pizza"
        return self.say(
            "size_only",
            ["(|a |make it |change it to |i want a |i would like a |the ){size}( one|)(| please)"],
            f"Okay, a {size} pizza. What would you like on it?",
            size=size,
        )

    def topping_only(self) -> Turn:
        one = self.one(x.TOPPINGS)
        patterns = ["(|with |just |only |some |i would like |i want |i like it with ){topping}(| please)"]
        if self.size:
            return self.ordered("topping_only", patterns, f"{self.size} with {one}", None, topping=one)
        return self.ordered(
            "topping_only",
            [
                "add {topping}(| please| to that| to my order)",
                "(can you|please|could you) add (some |){topping}(| please)",
                "i also want {topping}",
                "and {topping}(| please)",
            ],
            one,
            None,
            topping=one,
        )

    def without(self) -> Turn:
        one = self.one(x.TOPPINGS)
        return self.say(
            "without",
            [
                "no {topping}(| please)",
                "without {topping}(| please)",
                "i do not (like|want) {topping}",
                "(|please |okay |and |so |can you |could you )leave out the {topping}(| please| for me)",
            ],
            f"Okay, no {one}. Anything else?",
            topping=one,
        )

    def food(self) -> Turn:
        thing = self.one(x.DISHES + x.DRINKS)
        a = "a" if thing in x.DISHES else self.one(["", "some"])
        return self.ordered("food", [f"{WANT} {{a}} {{thing}}(| please)", "i (also|) want {a} {thing}(| too| please)", "and {a} {thing}(| please)", "{a} {thing}(| please)", "add {a} {thing}(| please)"], f"a {thing}" if a == "a" else thing, None, a=a, thing=thing)  # fmt: skip

    def ordered(self, skill: str, patterns: list[str], item: str, intent: Intent | None, **slots: str) -> Turn:
        if len(self.order) < 3:
            self.order.append(item)
        return self.say(skill, patterns, f"Okay, {item}. Anything else?", intent, **slots)

    def ask_order(self) -> Turn:
        patterns = ["(|so |and |okay |wait )(what is my order|what did i order|what have i ordered|what is my order so far|what do i have so far|repeat my order|tell me my order|can you repeat my order|"
                    "what is on my order|what did i order so far|read my order back|can you read my order|what have you got)(| please| now)"]  # fmt: skip
        return self.say(
            "ask_order",
            patterns,
            f"You ordered {listed(self.order)}." if self.order else "You have not ordered anything yet.",
        )

    def done_order(self) -> Turn:
        self.order = []
        return self.say("done_order", ["(that is my order|that is my whole order|that is everything|i am done ordering|please send my order|send my order|that completes my order|that is all i want to order)(| please| thanks| thank you|)"],
                        "Thank you! Your order is on its way.")  # fmt: skip

    def cancel_order(self) -> Turn:
        self.order = []
        return self.say(
            "cancel_order",
            [
                f"{ASK}(cancel|delete|forget) (my|the) order{END}",
                "i do not want my order( anymore|)",
                "i want to cancel my order",
            ],
            "Okay, your order is cancelled.",
        )

    def menu(self) -> Turn:
        patterns = [
            "(|so |and )(what do you have|what is on the menu|what can i order|what food do you have|what can i eat|tell me the menu|what can i get)(| please| today)",
            "do you have anything to (drink|eat)",
        ]
        return self.say("menu", patterns, "We have pizza, burgers, salad, soup, sandwiches and cake, and many drinks.")

    def price(self) -> Turn:
        patterns = [
            "(|so |and |okay )(how much is it|how much is that|what does it cost|how much does it cost|what is the price|how much do i pay|what does that cost)(| please| together)"
        ]
        return self.say("price", patterns, "I am sorry, I do not know the price.")

    # the office

    def order_status(self) -> Turn:
        if self.r.random() < 0.25:
            patterns = [
                "(|hello |hi |so |and |okay )(where is my order|i have a question about my order|when will it arrive|when will my order arrive|when does my order arrive|i am calling about my order|what is the status of my order|has my order been sent|is my order on its way|did you send my order)(| please)"
            ]
            return self.say("order_status", patterns, "What is your order number?")
        digits = [self.one(x.DIGITS) for _ in range(self.r.choice([3, 4, 5]))]
        said = " ".join(digits)
        patterns = ["(|hello |hi |please |so |okay )(where is my order {id}|where is order {id}|what is the status of order {id}|check order {id}|i am calling about order {id}|my order number is {id}|look up order {id}|"
                    "when does order {id} arrive|the order number is {id}|i have a question about order {id}|find order {id}|order number {id})(| please)", "can you (look up|check|find|track) order {id}(| for me| please)"]  # fmt: skip
        number = "".join(str(x.DIGITS.index(d)) for d in digits)
        return self.say(
            "order_status",
            patterns,
            f"I can not look up order {said} right now.",
            Intent("order_status", {"order": number}),
            id=said,
        )

    def transfer(self) -> Turn:
        who = self.one(x.DEPARTMENTS)
        patterns = [f"{ASK}(transfer|connect|send|forward) me to {{department}}{END}", f"{ASK}put me through to {{department}}{END}", "(i want|i would like|i need|can i|could i) to (talk|speak) to (someone in |somebody in |){department}(| please)",
                    "can i (talk|speak) to (someone in |somebody in |){department}(| please)", "(i have a question for|i need|give me) {department}(| please)", "{department}(| please)", "is there (someone|somebody) in {department}"]  # fmt: skip
        return self.say(
            "transfer",
            patterns,
            f"Of course, I am connecting you to {who}.",
            Intent("transfer", {"department": who}),
            department=who,
        )

    def human(self) -> Turn:
        patterns = ["(i want|i would like|i need) to (talk|speak) to (a human|a person|a real person|someone|somebody)(| please)", "(can|could) i (talk|speak) to (a human|a person|a real person|someone)(| please)",
                    "(let me talk to|give me|get me|connect me to) a (human|person|real person)(| please)"]  # fmt: skip
        return self.say("human", patterns, "Of course. Would you like sales, support or billing?")

    def problem(self) -> Turn:
        patterns = [
            "(|hello |hi |well )(i have a problem|i need help with my (bill|order|account)|i have a question|there is a problem|i have a problem with my (bill|order|account)|something is wrong|it does not work|i have a question about my (bill|account))"
        ]
        return self.say("problem", patterns, "I am sorry to hear that. Would you like sales, support or billing?")

    def clock(self) -> str:
        h = self.one(x.ONES[1:13])
        return self.one(
            [
                h,
                h,
                h,
                f"{h} thirty",
                f"{h} fifteen",
                f"{h} o'clock",
                f"{h} in the morning",
                f"{h} in the afternoon",
                f"half past {h}",
                f"quarter past {h}",
            ]
        )

    def appointment(self) -> Turn:
        day, hour, kind = self.one(x.DAYS), self.clock(), self.r.random()
        slots = {"day": day, "hour": hour}
        if kind < 0.2:
            patterns = [
                "(i need|i want|i would like|can i|i have) to (make|book|get) an appointment(| please)",
                "i (need|want|would like) an appointment(| please)",
                "(can i|could i) (make|book|get|have) an appointment(| please)",
                "(book|make) an appointment(| please)",
            ]
            return self.say("appointment", patterns, "Sure! Which day would you like?")
        if kind < 0.5:
            self.next_day = day
            patterns = ["i (would like|want|need) an appointment (on|for) {day}(| please)", "(|so |okay |and )(do you have|have you got|is there) (time|anything|something|a time|anything free) (on|for) {day}(| please)", f"{ASK}(book|make) an appointment (for|on) {{day}}(| please)",
                        "(on |next |){day}(| please)", "(|and |so )(can|could|may) i come (on |next |){day}(| please)", "{day} (is good|would be good|works for me|is fine|is best)(| for me| please)"]  # fmt: skip
            return self.say("appointment", patterns, f"{cap(day)} is fine. At what time?", None, **slots)
        patterns = [f"{ASK}(book|make) an appointment (on|for) {{day}} at {{hour}}{END}", "(|and |so )(can|could|may) i come (on|next) {day} at {hour}(| please)", "(|on |next ){day} at {hour}(| please)", "i (would like|want|need) an appointment (on|for) {day} at {hour}(| please)",
                    f"{ASK}(move|change) my appointment to {{day}} at {{hour}}(| please)"]  # fmt: skip
        return self.say(
            "appointment",
            patterns,
            f"Okay, your appointment is on {cap(day)} at {hour}.",
            Intent("appointment", {"day": day, "time": hour}),
            **slots,
        )

    def hour_only(self) -> Turn:
        hour = self.clock()
        patterns = (
            ["(|at |let us say |make it |how about |maybe at ){hour}(| please)"]
            if self.day
            else ["at {hour}(| please)"]
        )
        if self.day:
            answer = f"Okay, your appointment is on {cap(self.day)} at {hour}."
            return self.say(
                "hour_only", patterns, answer, Intent("appointment", {"day": self.day, "time": hour}), hour=hour
            )
        return self.say("hour_only", patterns, f"At {hour}, okay. Which day would you like?", hour=hour)

    def date(self) -> Turn:
        when = f"{self.one(x.ORDINALS)} of {self.one(x.MONTHS)}"
        return self.say(
            "date",
            [
                "(|it is |on )the {when}(| please)",
                "(my birthday is on|it was on|i was born on|remind me on|it is on) the {when}",
            ],
            f"The {when}, okay. Which time?",
            when=when,
        )

    # what it cannot know

    def time(self) -> Turn:
        patterns = ["(|hey |so |and |okay |hello )(what time is it|what is the time|can you tell me the time|do you know what time it is|tell me the time|could you tell me what time it is|do you have the time|what time do we have)(| please| now)",
                    "(what day is it(| today)|what is the date(| today)|is today {day}|is it {month} already|which day is it)", "what time is it in {city}(| now| please)"]  # fmt: skip
        return self.say(
            "time",
            patterns,
            "I am sorry, I can not see a clock from here.",
            Intent("time", {}),
            day=self.one(x.DAYS),
            month=self.one(x.MONTHS),
            city=self.one(x.CITIES),
        )

    def weather(self) -> Turn:
        city = self.one(x.CITIES)
        core = "(what is the weather|how is the weather|what is the weather like|will it rain|is it cold|do i need a coat|is it going to snow|tell me the weather|is it going to rain|is it sunny|what will the weather be)"
        if self.r.random() < 0.5:
            return self.say(
                "weather",
                [f"(|hey |so |and |can you tell me ){core} in {{city}}(| today| tomorrow| please| now)"],
                "I am sorry, I can not see the weather from here.",
                Intent("weather", {"city": city}),
                city=city,
            )
        return self.say(
            "weather",
            [f"(|hey |so |and ){core}(| today| tomorrow| on {{day}}| now)"],
            "I am sorry, I can not see the weather from here.",
            day=self.one(x.DAYS),
        )

    # outside

    def unknown(self) -> Turn:
        """Foreign words, ordinary prose, domain words in no sensible order, what the recogniser could not make out."""
        kind, r = self.r.random(), self.r
        if kind < 0.25:
            said = " ".join(r.sample(OUT_OF_DOMAIN, r.randint(2, 6)))
        elif kind < 0.5:
            words = r.choice(PROSE[self.test]).split()
            start = r.randrange(max(1, len(words) - 4))
            said = " ".join(words[start : start + r.randint(4, 10)])
        elif kind < 0.7:
            said = " ".join(r.choice(OUT_OF_DOMAIN if r.random() < 0.3 else SCRAMBLED) for _ in range(r.randint(4, 7)))
        elif kind < 0.9:
            known = [s for s in WEIGHTS if s != "unknown"]
            words = Conversation(r).turn(r.choice(known)).said.split()
            gone = set(r.sample(range(len(words)), r.randint(1, len(words))))
            said = " ".join(UNCLEAR if i in gone else w for i, w in enumerate(words))
            said = said.replace(f"{UNCLEAR} {UNCLEAR}", UNCLEAR).replace(f"{UNCLEAR} {UNCLEAR}", UNCLEAR)
        else:
            said = " ".join(
                "".join(r.choice(x.LETTERS) for _ in range(r.randint(3, 8))) for _ in range(r.randint(1, 3))
            )
        return Turn("unknown", said.replace("{", "").replace("}", ""), NOT_UNDERSTOOD)


OPPOSITE = {"louder": "quietly", "slower": "fast", "faster": "slowly"}
WEIGHTS = {
    "greet": 5, "how": 2, "thanks": 2, "bye": 3, "joke": 1, "hear": 1.5, "robot": 1.5, "who": 3, "made": 2, "can_do": 2, "yes_no": 4,
    "speech": 4, "tell_name": 5, "spell_name": 2.5, "ask_name": 5, "tell_colour": 3, "ask_colour": 3, "tell_code": 2, "ask_code": 2,
    "repeat": 6, "sum": 24, "number": 5, "light": 6, "light_all": 2.5, "light_colour": 3, "light_level": 2, "door": 3, "ask_door": 1.5,
    "volume": 3, "timer": 4, "alarm": 2, "cancel": 1, "time_left": 0.5, "heat": 3, "ask_heat": 1, "pizza": 7, "size_only": 1.5,
    "topping_only": 3, "without": 1.5, "food": 3, "ask_order": 4, "done_order": 1, "cancel_order": 1, "menu": 1, "price": 1,
    "order_status": 4, "transfer": 4, "human": 1.5, "problem": 1.5, "appointment": 5, "hour_only": 3, "date": 1.5, "time": 3, "weather": 3,
    "unknown": 9,
}  # fmt: skip
"""Share of the skills among the turns."""


def _scrambled() -> list[str]:
    conversation = Conversation(random.Random(4))
    return sorted(
        {
            w
            for _ in range(6000)
            for w in conversation.turn(conversation.one([s for s in WEIGHTS if s != "unknown"])).said.split()
        }
    )


SCRAMBLED: list[str] = []
SCRAMBLED += _scrambled()
"""Every word of the domain."""

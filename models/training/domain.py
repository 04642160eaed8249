"""What callers say to the starter agent: a small generative grammar over about 350 words."""

from __future__ import annotations

import random

ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def number(n: int) -> str:
    if n < 20:
        return ONES[n]
    if n < 100:
        t, o = divmod(n, 10)
        return TENS[t - 2] + ("" if o == 0 else " " + ONES[o])
    return "one hundred"


NAMES = "anna ben clara daniel emma frank grace henry isabel jack kate leo maria nick olivia peter rosa sam tina victor".split()
ROOMS = ["kitchen", "bedroom", "living room", "bathroom", "hallway", "office", "garage", "garden"]
COLORS = "red green blue yellow white orange purple pink".split()
DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
MONTHS = "january february march april may june july august september october november december".split()
CITIES = "london paris berlin istanbul madrid rome tokyo boston".split()
SIZES = "small medium large".split()
TOPPINGS = "cheese mushrooms onions peppers olives tomatoes ham pineapple".split()
DEPTS = "sales support billing".split()
DRINKS = "water coffee tea juice lemonade".split()


class Grammar:
    """Says one of the things that callers say; each method is a topic."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)

    def c(self, options: list[str]) -> str:
        return self.r.choice(options)

    def n(self, a: int = 0, b: int = 100) -> str:
        return number(self.r.randint(a, b))

    def time(self) -> str:
        h = self.c(ONES[1:13])
        return self.c(
            [
                h,
                h + " thirty",
                h + " fifteen",
                h + " o'clock",
                h + " in the morning",
                h + " in the afternoon",
                "half past " + h,
            ]
        )

    def order_id(self) -> str:
        return " ".join(self.c(ONES[:10]) for _ in range(self.c([3, 4, 5])))

    def pre(self) -> str:
        return self.c(
            [
                "",
                "",
                "",
                "",
                "please ",
                "hey ",
                "okay ",
                "so ",
                "um ",
                "can you ",
                "could you please ",
                "i would like you to ",
                "hi ",
            ]
        )

    def post(self) -> str:
        return self.c(["", "", "", "", "", " please", " now", " thanks", " thank you"])

    def say(self) -> str:
        f = self.c(
            [
                self.smalltalk,
                self.smalltalk,
                self.name,
                self.time_q,
                self.weather,
                self.arith,
                self.light,
                self.light,
                self.door,
                self.volume,
                self.timer,
                self.thermostat,
                self.pizza,
                self.pizza,
                self.order,
                self.transfer,
                self.appoint,
                self.drink,
                self.number_only,
                self.colour,
                self.short,
                self.meta,
            ]
        )
        return " ".join(f().split())

    def smalltalk(self) -> str:
        return self.c(
            [
                "hello",
                "hi there",
                "good morning",
                "good evening",
                "good afternoon",
                "hey",
                "hello there",
                "how are you",
                "how are you today",
                "how is it going",
                "nice to meet you",
                "thank you",
                "thanks a lot",
                "thank you very much",
                "that is great",
                "goodbye",
                "bye",
                "see you later",
                "have a nice day",
                "good night",
                "you are welcome",
                "hello how are you",
                "thanks goodbye",
                "that is all for today",
                "no that is all thank you",
                "hello can you hear me",
                "can you hear me",
                "are you there",
            ]
        )

    def name(self) -> str:
        n = self.c(NAMES)
        return self.c(
            [
                f"my name is {n}",
                f"i am {n}",
                f"this is {n} speaking",
                f"hello my name is {n}",
                f"hi i am {n}",
                "what is my name",
                "what is your name",
                "who are you",
                "do you remember my name",
                f"call me {n}",
                f"can i speak to {n}",
                f"hello this is {n}",
            ]
        )

    def time_q(self) -> str:
        return self.c(
            [
                "what time is it",
                "what is the time",
                "can you tell me the time",
                "what day is it today",
                "what is the date today",
                "what day is it",
                "tell me the time please",
                f"what time is it in {self.c(CITIES)}",
                f"is today {self.c(DAYS)}",
                f"is it {self.c(MONTHS)} already",
            ]
        )

    def weather(self) -> str:
        w = self.c(
            [
                "",
                " today",
                " tomorrow",
                " on " + self.c(DAYS),
                " in " + self.c(CITIES),
                f" in {self.c(CITIES)} tomorrow",
            ]
        )
        return (
            self.c(
                [
                    "what is the weather",
                    "how is the weather",
                    "what is the weather like",
                    "will it rain",
                    "is it cold",
                    "do i need a coat",
                    "is it going to snow",
                    "tell me the weather",
                ]
            )
            + w
        )

    def arith(self) -> str:
        a, b = self.n(0, 50), self.n(0, 50)
        op = self.c(["plus", "minus", "times"])
        if op == "times":
            a, b = self.n(0, 12), self.n(0, 12)
        return self.c(["what is ", "how much is ", "can you tell me what is ", "calculate ", ""]) + f"{a} {op} {b}"

    def light(self) -> str:
        r = self.c(ROOMS)
        return (
            self.pre()
            + self.c(
                [
                    f"turn on the light in the {r}",
                    f"turn off the light in the {r}",
                    f"turn the {r} light on",
                    f"turn the {r} light off",
                    f"switch on the lights in the {r}",
                    f"switch off the {r} lights",
                    f"make the {r} light {self.c(COLORS)}",
                    f"set the {r} light to {self.c(COLORS)}",
                    f"dim the {r} light to {self.n(1, 100)} percent",
                    "turn off all the lights",
                    "turn on all the lights",
                    f"set the {r} lights to {self.n(1, 100)} percent",
                    f"change the light in the {r} to {self.c(COLORS)}",
                    f"lights on in the {r}",
                    f"lights off in the {r}",
                ]
            )
            + self.post()
        )

    def door(self) -> str:
        d = self.c(
            ["front door", "back door", "garage door", "window", "kitchen window", "bedroom window", "garden door"]
        )
        return (
            self.pre()
            + self.c(
                [
                    f"open the {d}",
                    f"close the {d}",
                    f"lock the {d}",
                    f"unlock the {d}",
                    f"is the {d} open",
                    f"is the {d} locked",
                ]
            )
            + self.post()
        )

    def volume(self) -> str:
        return (
            self.pre()
            + self.c(
                [
                    "turn up the volume",
                    "turn down the volume",
                    "turn the music up",
                    "turn the music down",
                    f"set the volume to {self.n(0, 100)}",
                    f"set the volume to {self.n(0, 100)} percent",
                    "play some music",
                    "stop the music",
                    "mute the music",
                    "louder please",
                    "be quiet",
                    "next song",
                    "play the next song",
                ]
            )
            + self.post()
        )

    def timer(self) -> str:
        u = self.c(["minutes", "seconds", "hours"])
        k = self.n(2, 60)
        return (
            self.pre()
            + self.c(
                [
                    f"set a timer for {k} {u}",
                    f"start a timer for {k} {u}",
                    f"wake me up at {self.time()}",
                    f"set an alarm for {self.time()}",
                    "cancel the timer",
                    "stop the alarm",
                    "how much time is left",
                    f"remind me in {k} {u}",
                    f"set a timer for one {u[:-1]}",
                    f"remind me on {self.c(DAYS)} at {self.time()}",
                ]
            )
            + self.post()
        )

    def thermostat(self) -> str:
        k = self.n(10, 30)
        return (
            self.pre()
            + self.c(
                [
                    f"set the temperature to {k} degrees",
                    f"set the {self.c(ROOMS)} to {k} degrees",
                    "make it warmer",
                    "make it colder",
                    "turn on the heating",
                    "turn off the heating",
                    "how warm is it in the " + self.c(ROOMS),
                    f"what is the temperature in the {self.c(ROOMS)}",
                ]
            )
            + self.post()
        )

    def pizza(self) -> str:
        s, t, u = self.c(SIZES), self.c(TOPPINGS), self.c(TOPPINGS)
        k = self.c(["a", "one", "two", "three", "four"])
        p = "pizza" if k in ("a", "one") else "pizzas"
        return self.c(
            [
                f"i would like {k} {s} {p} with {t}",
                f"i want {k} {s} {p} with {t} and {u}",
                f"can i have {k} {s} {p}",
                f"{k} {s} {p} with {t} please",
                "i want to order a pizza",
                "i would like to order a pizza please",
                f"add {t}",
                f"add {t} and {u} please",
                f"no {t} please",
                f"make it {s}",
                f"{s} please",
                f"with {t} and {u}",
                f"can i get {k} {s} {p} with {u}",
                "what do you have",
                "how much is it",
                f"i do not like {t}",
                f"change it to {s}",
                "that is my order",
                "cancel my order",
            ]
        )

    def drink(self) -> str:
        d = self.c(DRINKS)
        return self.c(
            [
                f"i would like some {d}",
                f"a {d} please",
                f"can i have {d}",
                f"and {d} please",
                f"two {d}s please" if d in ("coffee", "tea", "juice") else f"some {d} please",
                "do you have anything to drink",
                f"i also want {d}",
            ]
        )

    def order(self) -> str:
        i = self.order_id()
        return self.c(
            [
                f"where is my order {i}",
                f"what is the status of order {i}",
                f"my order number is {i}",
                f"i am calling about order {i}",
                f"order number {i}",
                f"can you look up order {i}",
                f"check order {i} please",
                "where is my order",
                f"cancel order {i}",
                f"it is {i}",
                "i have a question about my order",
                "when will it arrive",
            ]
        )

    def transfer(self) -> str:
        d = self.c(DEPTS)
        return self.c(
            [
                f"transfer me to {d}",
                f"i want to talk to {d}",
                f"can i speak to someone in {d}",
                f"connect me to {d} please",
                f"i need {d}",
                "i want to talk to a human",
                "can i speak to a person",
                "let me talk to a real person please",
                f"put me through to {d}",
                f"i have a question for {d}",
                f"{d} please",
                "i need help",
                "i have a problem",
                "i need help with my bill",
            ]
        )

    def appoint(self) -> str:
        d, t = self.c(DAYS), self.time()
        return self.c(
            [
                f"book an appointment on {d} at {t}",
                f"i would like an appointment on {d}",
                f"can i come on {d} at {t}",
                f"make an appointment for {d} at {t} please",
                f"on {d} at {t}",
                f"{d} at {t}",
                f"at {t}",
                f"{d} please",
                "i need to make an appointment",
                "i want to book an appointment",
                "cancel my appointment",
                f"move my appointment to {d}",
                f"move it to {t}",
                f"do you have time on {d}",
                f"next {d} at {t}",
                f"on the {self.c(['first', 'second', 'third', 'fourth', 'fifth'])} of {self.c(MONTHS)}",
            ]
        )

    def number_only(self) -> str:
        return self.c([self.n(0, 100), self.order_id(), f"number {self.n(0, 100)}", f"it is {self.n(0, 100)}"])

    def colour(self) -> str:
        k = self.c(COLORS)
        return self.c(
            [
                f"my favourite colour is {k}",
                f"i like {k}",
                "what is my favourite colour",
                f"make it {k}",
                f"{k} please",
                f"i want a {k} one",
            ]
        )

    def short(self) -> str:
        return self.c(
            [
                "yes",
                "no",
                "yes please",
                "no thank you",
                "okay",
                "maybe",
                "i do not know",
                "stop",
                "wait",
                "cancel",
                "never mind",
                "that is right",
                "that is wrong",
                "correct",
                "sure",
                "of course",
                "not now",
                "exactly",
                "yes that is correct",
                "no that is wrong",
                "one moment please",
                "go on",
                "sounds good",
                "hold on",
                "i see",
                "all right",
            ]
        )

    def meta(self) -> str:
        return self.c(
            [
                "what can you do",
                "how can you help me",
                "can you help me",
                "repeat that please",
                "say that again",
                "can you repeat that",
                "what did you say",
                "i did not hear you",
                "speak louder please",
                "speak slower please",
                "tell me a joke",
                "tell me something",
                "are you a robot",
                "are you real",
                "where are you",
                "do you work without the internet",
                "who made you",
                "what is this",
                "do you speak english",
                "tell me about yourself",
                "sing a song",
            ]
        )


def corpus(n: int, seed: int, avoid: frozenset[str] = frozenset()) -> list[str]:
    g = Grammar(seed)
    out: dict[str, None] = {}
    while len(out) < n:
        s = g.say()
        if s not in avoid:
            out[s] = None
    return list(out)


if __name__ == "__main__":
    xs = corpus(12000, 1)
    print(len({w for x in xs for w in x.split()}), sum(len(x.split()) for x in xs) / len(xs))
    print("\n".join(xs[:25]))

"""The words of the starter domain: numbers, names, days, rooms, colours, food, letters."""

from __future__ import annotations

DIGITS = "zero one two three four five six seven eight nine".split()
ONES = [*DIGITS, *"ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()]
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
FIRST = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth"
).split()
ORDINALS = [*FIRST, "twentieth", *(f"twenty {x}" for x in FIRST[:9]), "thirtieth", "thirty first"]
NAMES = (
    "anna ben clara daniel emma frank grace henry isabel jack kate leo maria nick olivia peter rosa sam tina victor "
    "alice brian carol david eva george hannah ivan julia kevin laura mark nina oscar paul rachel simon thomas ursula walter"
).split()
ROOMS = [
    "kitchen", "bedroom", "living room", "bathroom", "hallway", "office", "garage", "garden", "dining room", "basement", "balcony",
]  # fmt: skip
COLOURS = "red green blue yellow white orange purple pink black brown grey".split()
DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
MONTHS = "january february march april may june july august september october november december".split()
CITIES = [
    "london",
    "paris",
    "berlin",
    "istanbul",
    "madrid",
    "rome",
    "tokyo",
    "boston",
    "vienna",
    "dublin",
    "new york",
    "sydney",
]
SIZES = "small medium large".split()
TOPPINGS = "cheese mushrooms onions peppers olives tomatoes ham pineapple bacon spinach tuna chicken".split()
DISHES = "burger salad soup sandwich cake".split()
DRINKS = "water coffee tea juice lemonade milk cola".split()
DEPARTMENTS = "sales support billing".split()
DOORS = [
    "front door", "back door", "garage door", "window", "kitchen window", "bedroom window", "garden door", "gate",
]  # fmt: skip
LETTERS = list("abcdefghijklmnopqrstuvwxyz")
LETTER_NAMES = dict(
    zip(
        LETTERS,
        "ay bee see dee ee eff jee aitch eye jay kay ell em en oh pee cue are ess tee you vee doubleyou ex why zee".split(),
        strict=True,
    )
)
"""How a speech program is made to say a letter."""


def number(n: int) -> str:
    """An integer from -9999 to 9999 as it is said."""
    if n < 0:
        return "minus " + number(-n)
    if n < 20:
        return ONES[n]
    if n < 100:
        tens, ones = divmod(n, 10)
        return TENS[tens - 2] + (f" {ONES[ones]}" if ones else "")
    size, name = (100, "hundred") if n < 1000 else (1000, "thousand")
    many, rest = divmod(n, size)
    between = "" if not rest else " and " if rest < 100 else " "
    return f"{number(many)} {name}{between}{number(rest) if rest else ''}"

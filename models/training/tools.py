"""Tools offered to the chat model: what they are called, how they are written into the prompt, what they return.

In half of the dialogues names are invented, so that the model learns to copy the name that goes with a description
instead of learning names. Arguments that are described go by their description (the engine does the same with this
pack, and puts the names back): which value belongs to a name that means nothing is more than a small model finds out.
"""

from __future__ import annotations

import json
import random
import zlib
from dataclasses import dataclass
from typing import Any

import lexicon as x
from skills import OUT_OF_DOMAIN, Intent, Turn, cap


@dataclass(frozen=True)
class Argument:
    """One value of an intent: what tools call it, how they describe it, its JSON type or its choices."""

    names: tuple[str, ...]
    meanings: tuple[str, ...]
    type: str = "string"
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """A purpose that a tool can have."""

    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    arguments: dict[str, Argument]
    results: tuple[str, ...] = ()
    """Keys of what comes back; none: it only confirms."""


ROOM = Argument(
    ("room", "room_name", "place", "location", "area"),
    ("the room", "which room", "name of the room", "room of the house"),
)
HOUR = Argument(("time", "hour", "start", "at", "when"), ("the time", "time of day", "at what time", "the hour"))
DOOR = Argument(
    ("door", "name", "target", "opening", "door_name"), ("the door or window", "which door", "door or window")
)
LEVEL = Argument(
    ("level", "percent", "value", "brightness", "amount"),
    ("percent", "the level in percent", "level from 0 to 100"),
    "integer",
)
KINDS = {
    "light": Kind(("set_light", "turn_light", "switch_light", "control_light", "light", "light_switch", "toggle_light"),
        ("Turn a light on or off", "Switch the light in a room on or off", "Turns the light of a room on or off", "Control a light"),
        {"room": ROOM, "state": Argument(("state", "on", "power", "status", "switch"), ("on or off", "whether it is on", "the new state"), choices=("on", "off"))}),
    "light_colour": Kind(("set_light_colour", "set_colour", "change_light_color", "light_color", "set_color"),
        ("Set the colour of a light", "Change the colour of the light in a room", "Colour of a light"),
        {"room": ROOM, "colour": Argument(("colour", "color", "value", "new_color"), ("the colour", "which colour", "colour of the light"))}),
    "light_level": Kind(("dim_light", "set_brightness", "set_light_level", "brightness"),
        ("Set the brightness of a light", "Dim the light in a room", "Brightness of a light in percent"), {"room": ROOM, "level": LEVEL}),
    "door": Kind(("set_door", "control_door", "door", "move_door", "door_control"),
        ("Open, close, lock or unlock a door or window", "Control a door or window", "Opens, closes or locks a door"),
        {"door": DOOR, "action": Argument(("action", "command", "operation", "what"), ("what to do", "open, close, lock or unlock", "the action"), choices=("open", "close", "lock", "unlock"))}),
    "ask_door": Kind(("get_door", "door_state", "is_door_open", "check_door"), ("Is a door or window open", "Get the state of a door or window", "Check a door or window"),
        {"door": DOOR}, ("state", "door", "status")),
    "volume": Kind(("set_volume", "volume", "change_volume", "music_volume"), ("Set the volume of the music", "Change the volume", "Set how loud the music is"), {"level": LEVEL}),
    "timer": Kind(("set_timer", "start_timer", "timer", "create_timer", "add_timer"), ("Set a timer", "Start a timer", "Starts a timer for some time"),
        {"amount": Argument(("amount", "duration", "number", "length", "value"), ("how many", "how long", "the number", "number of units"), "integer"),
         "unit": Argument(("unit", "units", "time_unit", "kind"), ("seconds, minutes or hours", "the unit", "unit of time"), choices=("seconds", "minutes", "hours"))}),
    "alarm": Kind(("set_alarm", "wake_up", "alarm", "create_alarm"), ("Set an alarm", "Wake the user up at a time", "Sets an alarm clock"), {"time": HOUR}),
    "heat": Kind(("set_temperature", "set_heating", "heat_room", "thermostat"), ("Set the temperature of a room", "Set the heating in a room", "Change the temperature in a room"),
        {"room": ROOM, "degrees": Argument(("degrees", "temperature", "value", "target"), ("degrees", "the temperature", "temperature in degrees"), "integer")}),
    "ask_heat": Kind(("get_temperature", "room_temperature", "read_temperature", "measure"), ("Get the temperature of a room", "How warm a room is", "Measure the temperature in a room"),
        {"room": ROOM}, ("temperature", "degrees", "value")),
    "pizza": Kind(("order_pizza", "add_pizza", "pizza", "make_pizza"), ("Order a pizza", "Add a pizza to the order", "Orders pizzas"),
        {"size": Argument(("size", "pizza_size", "how_big"), ("the size", "small, medium or large"), choices=("small", "medium", "large")),
         "topping": Argument(("topping", "with", "ingredient"), ("the topping", "what is on it")),
         "count": Argument(("count", "quantity", "number", "how_many"), ("how many", "number of pizzas"), "integer")}),
    "order_status": Kind(("get_order_status", "order_status", "lookup_order", "track_order", "find_order", "get_order", "check_order"),
        ("Get the status of an order", "Look up an order", "Find out where an order is", "Status of an order by its number"),
        {"order": Argument(("order_id", "order_number", "id", "order", "number"), ("the order number", "number of the order", "id of the order"))},
        ("status", "state", "arrives", "delivery", "place")),
    "transfer": Kind(("transfer_call", "transfer", "forward_call", "connect", "route_call"), ("Transfer the call to a department", "Connect the caller to a department", "Forward the call"),
        {"department": Argument(("department", "to", "target", "team", "destination"), ("the department", "sales, support or billing", "where to"), choices=tuple(x.DEPARTMENTS))}),
    "appointment": Kind(("book_appointment", "make_appointment", "create_appointment", "book", "schedule"), ("Book an appointment", "Make an appointment", "Book a time"),
        {"day": Argument(("day", "date", "weekday", "on"), ("the day", "which day", "day of the week")), "time": HOUR}),
    "time": Kind(("get_time", "current_time", "clock", "what_time", "get_current_time"), ("Get the current time", "What time it is now", "The current date and time", "Tells the time"),
        {}, ("time", "now", "clock")),
    "weather": Kind(("get_weather", "weather", "weather_in", "fetch_weather", "forecast"), ("Get the weather", "Get the weather in a city", "Weather of a city", "Current weather for a place"),
        {"city": Argument(("city", "location", "place", "town", "where"), ("the city", "which city", "name of the city"))}, ("weather", "temperature", "sky", "degrees", "rain")),
    "calculate": Kind(("calculate", "calculator", "compute", "do_math"), ("Calculate with two numbers", "A calculator", "Add, subtract or multiply two numbers"),
        {"a": Argument(("a", "x", "first", "left"), ("first number", "the first number"), "integer"), "b": Argument(("b", "y", "second", "right"), ("second number", "the second number"), "integer"),
         "operation": Argument(("operation", "op", "operator"), ("the operation", "plus, minus or times"), choices=("plus", "minus", "times"))}, ("result", "answer", "value")),
    "hang_up": Kind(("hang_up", "end_call", "hangup", "finish_call"), ("End the call", "Hang up", "Ends the call when the caller says goodbye"), {}),
}  # fmt: skip


KINDS_OF = {name: name for name in KINDS if name not in ("calculate", "hang_up")} | {
    "sum": "calculate",
    "bye": "hang_up",
    "hour_only": "appointment",
}
"""Which kind of tool helps with a skill."""


@dataclass(frozen=True)
class Tool:
    """A tool as it is offered: its kind under the name that the developer gave."""

    kind: str
    name: str
    description: str
    labels: dict[str, str]
    """Of the arguments, by the intent's names: what each means, or its name where that is not said."""
    types: dict[str, str]
    """Of each argument, by its label."""

    def spec(self) -> str:
        """One line of the prompt; the chat template in the GGUF file makes the same of a JSON schema.

        The description goes first: a causal model reads the name knowing already what it is the name of.
        """
        return json.dumps({"description": self.description, "name": self.name, "arguments": self.types})

    def call(self, intent: Intent) -> str:
        arguments: dict[str, Any] = {}
        for key, label in self.labels.items():
            value = intent.values[key]
            if self.types[label] == "boolean":
                value = value in ("on", "open")
            elif self.types[label] == "string" and not isinstance(value, str):
                value = str(value)
            arguments[label] = value
        return f"<tool_call>\n{json.dumps({'name': self.name, 'arguments': arguments})}\n</tool_call>"


def invented(r: random.Random, test: bool) -> str:
    """A name that means nothing; those of tests are never used in training."""
    while True:
        parts = []
        for _ in range(r.randint(1, 2)):
            if r.random() < 0.3:
                parts.append(r.choice(OUT_OF_DOMAIN))
            else:
                parts.append(
                    "".join(
                        r.choice("bcdfghjklmnprstvwz") + r.choice("aeiou") + r.choice(["", "", *"lnrstkm"])
                        for _ in range(r.randint(1, 3))
                    )
                )
        name = "_".join(parts) if r.random() < 0.8 else parts[0] + "".join(map(cap, parts[1:]))
        if (zlib.crc32(name.encode()) % 5 == 0) == test:
            return name


def make_tool(r: random.Random, kind: str, unseen: bool, test: bool) -> Tool:
    """A tool of a kind; with `unseen` its name is invented, and its arguments are described."""
    k = KINDS[kind]
    described = unseen or r.random() < 0.5
    labels: dict[str, str] = {}
    types: dict[str, str] = {}
    for key, a in k.arguments.items():
        label = ""
        while not label or label in labels.values():
            label = r.choice(a.meanings if described else a.names)
        labels[key] = label
        type_ = a.type
        if a.choices:
            type_ = "|".join(a.choices) if r.random() < 0.6 else "string"
            if key == "state" and r.random() < 0.3:
                type_ = "boolean"
        elif a.type == "integer" and r.random() < 0.2:
            type_ = r.choice(["number", "string"])
        types[label] = type_
    order = list(labels)
    r.shuffle(order)
    labels = {key: labels[key] for key in order}
    return Tool(
        kind,
        invented(r, test) if unseen else r.choice(k.names),
        r.choice(k.descriptions),
        labels,
        {label: types[label] for label in labels.values()},
    )


def block(tools: list[Tool]) -> str:
    """What the system turn ends with when tools are offered."""
    return "<tools>\n" + "\n".join(t.spec() for t in tools) + "\n</tools>"


def fits(tools: list[Tool], intent: Intent) -> Tool | None:
    return next((t for t in tools if t.kind == intent.name), None)


ERRORS = (
    "not found",
    "no connection",
    "the service is down",
    "unknown value",
    "timeout",
    "not allowed",
    "too late",
    "it is closed",
)
WORDS = (
    "sunny cloudy rainy windy shipped packed delivered lost late ready open closed locked cold warm sent waiting done blocked paid "
    "foggy stormy dry wet full empty early busy free broken new old"
).split()  # fmt: skip


def result(r: random.Random, turn: Turn, test: bool) -> tuple[str, str]:
    """What a tool returns for a turn, and what is answered with it."""
    k = KINDS[turn.intent.name if turn.intent else ""]
    kind = r.random()
    if kind < 0.12:
        reason = r.choice(ERRORS) if r.random() < 0.6 else f"{r.choice(WORDS)} {r.choice(OUT_OF_DOMAIN)}"
        return json.dumps({"error": reason}), f"I am sorry, that did not work: {reason}."
    if not k.results:
        return r.choice(['{"ok": true}', '"ok"', "null", '{"success": true}', '{"status": "ok"}', "true"]), turn.answer

    def value() -> object:
        return r.choice(
            [
                r.randint(-10, 40),
                r.randint(0, 999),
                r.choice(WORDS),
                f"{r.choice(WORDS)} and {r.choice(WORDS)}",
                r.choice(x.DAYS),
                f"{r.randint(1, 12)} {r.choice(['am', 'pm'])}",
                f"{r.randint(0, 23)}:{r.randint(0, 59):02}",
            ]
        )

    if kind < 0.35:
        text = r.choice(
            [
                f"It is {value()}",
                f"The {r.choice(OUT_OF_DOMAIN)} is {value()}",
                f"{cap(r.choice(WORDS))} and {value()}",
                f"{value()} degrees and {r.choice(WORDS)}",
                f"{value()}",
            ]
        )
        return json.dumps(text), f"{cap(text)}."
    keys = r.sample(k.results, min(len(k.results), r.choice([1, 1, 2])))
    if r.random() < 0.3:
        keys = [invented(r, test) for _ in keys]
    got = {key: value() for key in keys}
    said = " and ".join(f"the {key.replace('_', ' ')} is {v}" for key, v in got.items())
    return json.dumps(got), f"{cap(said)}."

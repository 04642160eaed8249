"""The form of the command line: commands, their help, and errors that name the option and the fix."""

from __future__ import annotations

import argparse
import difflib
import errno
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["Parser", "command", "number", "path", "seconds"]

_NO_NUMBER = re.compile(r": invalid (int|float) value: ('.*')$")
_QUOTED = re.compile(r"'([^']*)'")


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose errors are one sentence each, with the closest word that exists."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The options, as `argparse` gives them; exits with status 2 where they cannot be understood."""
        # argparse blames unknown options on the outermost parser, which does not know the command's own ones
        found, unknown = self.parse_known_args(args, namespace)
        innermost: Parser = getattr(found, "parser", self)
        if unknown:
            innermost.refuse_unknown(unknown)
        if not hasattr(found, "run"):  # a command without its action: what there is to choose from
            innermost.exit(2, innermost.format_help())
        innermost.refuse_other_bytes(found)
        return found

    def refuse_other_bytes(self, found: argparse.Namespace) -> None:
        """Exit where a value is no text, before anything is done with it. Names of files may be any bytes."""
        for action in self._actions:
            value = getattr(found, action.dest, None)
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, str) and any("\ud800" <= letter <= "\udfff" for letter in each):
                    named = "/".join(action.option_strings) or action.metavar or action.dest
                    self.error(f"{named}: {each!r} is not text in UTF-8.")

    def refuse_unknown(self, words: list[str]) -> NoReturn:
        word = words[0].partition("=")[0]
        kind = "option" if word.startswith("-") else "argument"
        self.error(f"There is no {kind} {word}.{_did_you_mean(word, self._option_string_actions)}")

    def error(self, message: str) -> NoReturn:
        """Print one sentence and where help is, and exit with status 2."""
        self.exit(2, f"{self.prog.split()[0]}: {self._sentence(message)} See: {self.prog} --help\n")

    def _sentence(self, message: str) -> str:
        if "invalid choice" in message:
            word = _QUOTED.findall(message)[0]
            named, choices = self._choices(message)
            known = ", ".join(choices)
            if named.startswith("-"):
                return f"{named} is one of {known}, not {word!r}."
            return f"There is no {named} {word!r}.{_did_you_mean(word, choices) or f' There are: {known}.'}"
        if message.startswith("the following arguments are required: "):
            return f"Missing: {message.partition(': ')[2]}."
        message = message.removeprefix("argument ")
        if message.endswith((": expected one argument", ": expected at least one argument")):
            return f"{message.partition(': ')[0]}: its value is missing."
        if wrong := _NO_NUMBER.search(message):
            whole = "whole " if wrong[1] == "int" else ""
            return f"{message[: wrong.start()]}: a {whole}number is wanted, not {wrong[2]}."
        return message if message.endswith((".", "?")) else f"{message}."

    def _choices(self, message: str) -> tuple[str, list[str]]:
        """The option, or the kind of word, that a choice was meant for, and the choices that exist."""
        blamed = message.removeprefix("argument ").partition(":")[0]
        for action in self._actions:
            names = "/".join(action.option_strings) or str(action.metavar or action.dest)
            if action.choices is not None and names == blamed:
                named = names if action.option_strings else names.lower()
                return named, [str(choice) for choice in action.choices]
        return blamed, []


def _did_you_mean(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]}?" if close else ""


def command(commands: Any, name: str, short: str, long: str) -> Parser:
    """A command, or an action of one: `short` stands in the list, `long` above its own help."""
    parser: Parser = commands.add_parser(
        name, help=short, description=long, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(parser=parser)
    return parser


def number(what: str, low: int, high: int) -> Callable[[str], int]:
    """The type of an option that is a whole number within bounds; `what` begins the sentence about others."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{what} is a number from {low} to {high}, not {text!r}.")
        return value

    return read


def path(text: str) -> Path:
    """The type of an option that names a file or a folder, whether there is one or not."""
    if not text.strip():
        raise argparse.ArgumentTypeError("its value is missing.")
    named = Path(text)
    try:
        named.lstat()
    except OSError as failed:
        if failed.errno == errno.ENAMETOOLONG:
            raise argparse.ArgumentTypeError("no file has so long a name.") from None
    return named


def seconds(what: str, most: float) -> Callable[[str], float]:
    """The type of an option that is a time above 0; `what` begins the sentence about others."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"{what} is above 0 and at most {most:g} seconds, not {text!r}.")
        return value

    return read

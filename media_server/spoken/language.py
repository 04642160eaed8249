"""What is known of each language that is spoken: its words for signs, money, units, dates and abbreviations."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

__all__ = ["LANGUAGES", "Currency", "Language", "Noun", "language_of"]

_FOLDER = Path(__file__).parent / "languages"
_FILES = tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))
LANGUAGES = tuple(code for code in _FILES if "-" not in code)
"""Codes of the languages whose signs, numbers and abbreviations are said in words."""
_SPACES = "\u00a0\u202f\u2009"


@dataclass(frozen=True, slots=True)
class Noun:
    """What is counted: one of it, several, and its gender where numbers follow that."""

    one: str
    many: str
    feminine: bool = False


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency's unit and its hundredth, if that is in use."""

    unit: Noun
    part: Noun | None


@dataclass(frozen=True, eq=False)
class Language:
    """A language's words, as its file in `languages/` has them."""

    code: str
    table: Mapping[str, Any]

    def word(self, name: str) -> str:
        """The word for a sign or a part of a phrase."""
        return str(self.table["words"][name])

    def words(self, name: str) -> Mapping[str, str]:
        """One of the file's tables from what is written to what is said."""
        found: Mapping[str, str] = self.table.get(name, {})
        return found

    def listed(self, name: str) -> frozenset[str]:
        """One of the file's lists of words."""
        return frozenset(self.table["lists"].get(name, "").split())

    @cached_property
    def decimal(self) -> str:
        """The sign before decimals."""
        return str(self.table["decimal"])

    @cached_property
    def group(self) -> str:
        """The sign between thousands."""
        return "," if self.decimal == "." else "."

    @cached_property
    def number(self) -> str:
        """A pattern of a number as it is written: grouped or not, with or without decimals."""
        marks = _SPACES + self.group + ("'’" if self.code in ("de", "fr", "it") else "")
        marks += " " if self.code in ("fr", "es") else ""
        grouped = rf"[1-9]\d{{0,2}}(?:[{marks}]\d{{3}}){{1,6}}"
        whole = rf"(?:{grouped}(?!\d)|\d{{1,18}})"
        if self.decimal == ".":
            whole = rf"(?:{grouped}(?!\d)|[1-9]\d?(?:,\d\d){{1,4}},\d{{3}}(?!\d)|\d{{1,18}})"  # "1,50,000" in India
            return rf"(?<!\d)(?<!\d[.,]){whole}(?:\.\d{{1,12}})?(?!\d)"
        # English decimals are met in every language: what cannot be a group of thousands is one
        return rf"(?<!\d)(?<!\d[.,]){whole}(?:,\d{{1,12}}|\.(?:\d{{1,2}}|\d{{4,12}}))?(?!\d)"

    @cached_property
    def amount(self) -> str:
        """A pattern of a number before a unit or a currency: in English also with the decimal comma of others."""
        if self.decimal == ",":
            return self.number
        return rf"(?:(?<![\d.,])\d{{1,3}}(?:\.\d{{3}}){{0,4}},\d{{1,2}}(?![\d,.]\d|\d)|{self.number})"

    @cached_property
    def months(self) -> tuple[str, ...]:
        """January to December."""
        return tuple(self.table["months"])

    @cached_property
    def weekdays(self) -> tuple[str, ...]:
        """Monday to Sunday."""
        return tuple(self.table["weekdays"])

    @cached_property
    def units(self) -> Mapping[str, Noun]:
        """Units by their signs, in their own case."""
        return {sign: _noun(forms) for sign, forms in self.table["units"].items()}

    @cached_property
    def currencies(self) -> Mapping[str, Currency]:
        """Currencies by their signs and codes."""
        return {
            sign: Currency(_noun(forms[0]), _noun(forms[1]) if len(forms) > 1 else None)
            for sign, forms in self.table["currencies"].items()
        }


def _noun(forms: str) -> Noun:
    """A noun from `one|many`, with `|f` behind where it is feminine; `one` alone where both are alike."""
    parts = forms.split("|")
    return Noun(parts[0], parts[1] if len(parts) > 1 and parts[1] else parts[0], parts[-1] == "f" and len(parts) > 2)


def language_of(voice: str) -> Language | None:
    """The language of a voice by espeak-ng's name for it (`en-us`, `pt-br`); None for one without a file."""
    name = voice.lower().replace("_", "-")
    code = name.partition("-")[0]
    return _loaded(code, name if name in _FILES else code) if code in LANGUAGES else None


@cache
def _loaded(code: str, variant: str) -> Language:
    """A language, with what its variant in a country has of its own."""
    table = _read(code)
    for name, own in (_read(variant) if variant != code else {}).items():
        table[name] = table.get(name, {}) | own
    return Language(code, table)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / f"{name}.toml").read_text("utf-8"))

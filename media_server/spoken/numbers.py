"""How numbers are said: grouped, with decimals, counted nouns, ordinals, years, digits one by one. Pure.

Most cardinals are left in digits: the phonemizer reads them in every language. They are put into words where it would
be wrong, because the noun's gender, an ordinal or a year asks for another form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from media_server.spoken.language import Language, Noun

__all__ = ["agreeing", "counted", "digits", "is_one", "ordinal", "plain_number", "year"]

_GROUPED = re.compile(r"[\s\u00a0\u202f\u2009'’]")
_LAST_AGREEING = {
    # (language, feminine): what 1 and 2 are before a noun, by themselves and behind tens
    ("de", False): {1: "ein"},
    ("de", True): {1: "eine"},
    ("es", False): {1: "un"},
    ("es", True): {1: "una"},
    ("fr", True): {1: "une"},
    ("it", False): {1: "un"},
    ("it", True): {1: "una"},
    ("pt", True): {1: "uma", 2: "duas"},
}
_TENS: Mapping[str, Mapping[int, str]] = {
    "es": {3: "treinta", 4: "cuarenta", 5: "cincuenta", 6: "sesenta", 7: "setenta", 8: "ochenta", 9: "noventa"},
    "fr": {2: "vingt", 3: "trente", 4: "quarante", 5: "cinquante", 6: "soixante"},
    "pt": dict(enumerate(["vinte", "trinta", "quarenta", "cinquenta", "sessenta", "setenta", "oitenta", "noventa"], 2)),
}
_HUNDREDS: Mapping[str, tuple[str, str, str]] = {
    # what one hundred and something is, and the others up to their ending, masculine and feminine but for a letter
    "es": ("ciento ", "dosc tresc cuatroc quin seisc setec ochoc novec", "ient{}s "),
    "pt": ("cento e ", "duz trez quatroc quinh seisc setec oitoc novec", "ent{}s e "),
}
MAX_ORDINAL = 9999
"""Larger ones are left in digits."""
_JOINED_ORDINALS: Mapping[str, tuple[str, str, str, str]] = {
    # one to nine before hundreds and thousands, those, and what the ordinal of a round number ends in
    "de": (" zwei drei vier fünf sechs sieben acht neun", "hundert", "tausend", "ste"),
    "nl": (" twee drie vier vijf zes zeven acht negen", "honderd", "duizend", "ste"),
}
_ROUND_ORDINALS: Mapping[str, tuple[str, str]] = {
    # one hundredth to nine hundredth, and the thousandth
    "es": (
        "centésimo ducentésimo tricentésimo cuadringentésimo quingentésimo sexcentésimo septingentésimo octingentésimo"
        " noningentésimo",
        "milésimo",
    ),
    "pt": (
        "centésimo ducentésimo tricentésimo quadringentésimo quingentésimo sexcentésimo septingentésimo octingentésimo"
        " nongentésimo",
        "milésimo",
    ),
    "it": (
        "centesimo duecentesimo trecentesimo quattrocentesimo cinquecentesimo seicentesimo settecentesimo"
        " ottocentesimo novecentesimo",
        "millesimo",
    ),
}
_JOINED = {"es": " y ", "fr": " et ", "pt": " e "}


def _parts(written: str, language: Language) -> tuple[str, str]:
    """The digits before and after the decimal sign."""
    text = _GROUPED.sub("", written)
    if language.decimal == ".":
        if re.fullmatch(r"\d{1,3}(?:\.\d{3})*,\d{1,2}", text):
            text = text.replace(".", "").replace(",", ".")
        whole, _, rest = text.replace(",", "").partition(".")
        return whole, rest
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+\.\d{1,2}|\d{1,3}(?:,\d{3}){2,}", text):
        text = text.replace(",", "")  # English marks
    if re.fullmatch(r"\d+\.(?:\d{1,2}|\d{4,})", text):
        whole, _, rest = text.partition(".")
        return whole, rest
    whole, _, rest = text.replace(".", "").partition(",")
    return whole, rest


def plain_number(written: str, language: Language) -> str:
    """A number in digits, without marks between thousands and with the language's decimal sign."""
    whole, rest = _parts(written, language)
    return f"{whole}{language.decimal}{rest}" if rest else whole


def is_one(written: str, language: Language) -> bool:
    """Whether one of something is meant; in French, anything below two."""
    whole, rest = _parts(written, language)
    if language.code == "fr":
        return int(whole) < 2
    return int(whole) == 1 and not rest


def counted(written: str, noun: Noun, language: Language) -> str:
    """A number and what is counted, in agreement."""
    name = noun.one if is_one(written, language) else noun.many
    return f"{agreeing(written, noun.feminine, language, name)} {name}".replace("un' ", "un'")


def agreeing(written: str, feminine: bool, language: Language, noun: str = "") -> str:
    """The number in digits, or in words where those change before a noun of its gender.

    Args:
        noun: what follows; in Italian its first letters matter.
    """
    whole, rest = _parts(written, language)
    if rest or len(whole) > 9:
        return plain_number(written, language)
    code, n = language.code, int(whole)
    forms = _LAST_AGREEING.get((code, feminine), {})
    if n == 1 and code == "it" and _takes_other_article(noun, feminine):
        return "un'" if feminine else "uno"
    if n in forms:
        return forms[n]
    if n > 99 and code in _HUNDREDS:
        return _with_hundreds(n, feminine, language, noun)
    tens, one = divmod(n, 10)
    if code == "fr" and feminine and 100 < n < 10_000 and n % 100:
        rest = agreeing(str(n % 100), feminine, language)
        return f"{n - n % 100} {rest}" if not rest.isdigit() else whole
    if code == "fr" and feminine and n == 81:
        return "quatre-vingt-une"
    if code == "es" and n == 21:
        return "veintiuna" if feminine else "veintiún"
    if one in forms and tens in _TENS.get(code, {}):
        return f"{_TENS[code][tens]}{_JOINED[code]}{forms[one]}"
    return whole


def _with_hundreds(n: int, feminine: bool, language: Language, noun: str) -> str:
    """A number from a hundred on: in words where its hundreds or its last digits follow the noun's gender."""
    thousands, below = divmod(n, 1000)
    hundreds, rest = divmod(below, 100)
    end = agreeing(str(rest), feminine, language, noun)
    many = agreeing(str(thousands), feminine, language) if thousands > 1 else ""
    changes = (rest and end != str(rest)) or many != str(thousands) * (thousands > 1) or (feminine and hundreds > 1)
    if not changes or thousands > 999:
        return str(n)
    one, stems, ending = _HUNDREDS[language.code]
    said = f"{many} mil ".lstrip() if thousands else ""
    if hundreds == 1:
        said += one
    elif hundreds:
        said += stems.split()[hundreds - 2] + ending.format("a" if feminine else "o")
    said += end if rest else ""
    return said.strip().removesuffix(" e")


def _takes_other_article(noun: str, feminine: bool) -> bool:
    """Whether it is *un'ora*, *uno yen* in place of *una*, *un*."""
    if feminine:
        return noun[:1].lower() in "aeiouàèéìòù" and bool(noun)
    return re.match(r"s[^aeiou]|z|gn|p[ns]|x|y|i[aeou]", noun.lower()) is not None


def ordinal(n: int, language: Language, feminine: bool = False, ending: str = "") -> str:
    """An ordinal in words; in digits where the language has none for it, or the phonemizer reads it rightly.

    Args:
        ending: what German adds: `n`, `r` or nothing.
    """
    small: Sequence[str] = language.table["ordinals"]["small"]
    tens: Sequence[str] = language.table["ordinals"]["tens"]
    if not 0 < n <= MAX_ORDINAL:
        return str(n)
    if n > 99:
        said = _large_ordinal(n, language)
    elif n <= len(small):
        said = small[n - 1]
    else:
        ten, one = divmod(n, 10)
        said = tens[ten - 2] if one == 0 else _behind_tens(ten, one, language)
    if feminine and language.code in ("es", "pt", "it"):
        said = re.sub(r"o\b", "a", said)
    if feminine and n == 1 and language.code == "fr":
        said = "première"
    return said + ending if said != str(n) else said


def _large_ordinal(n: int, language: Language) -> str:
    """An ordinal from a hundredth on; digits where that is too rare to be known."""
    code = language.code
    thousands, below = divmod(n, 1000)
    hundreds, rest = divmod(below, 100)
    if code in _JOINED_ORDINALS:
        ones, hundred, thousand, end = _JOINED_ORDINALS[code]
        count = ones.split(" ")
        said = f"{count[thousands - 1]}{thousand}" if thousands else ""
        said += f"{count[hundreds - 1]}{hundred}" if hundreds else ""
        return said + (ordinal(rest, language) if rest else end)
    if code in _ROUND_ORDINALS:
        names, thousandth = _ROUND_ORDINALS[code]
        if n == 1000:
            return thousandth
        if thousands or (rest and code == "it"):
            return str(n)
        return f"{names.split()[hundreds - 1]} {ordinal(rest, language) if rest else ''}".strip()
    if code == "fr":
        if rest:
            return f"{n - rest} {'unième' if rest == 1 else ordinal(rest, language)}"
        return _round_ordinal(thousands, hundreds, "centième", "millième")
    if code == "tr":
        return (
            f"{n - rest} {ordinal(rest, language)}"
            if rest
            else _round_ordinal(thousands, hundreds, "yüzüncü", "bininci")
        )
    return str(n)


def _round_ordinal(thousands: int, hundreds: int, hundredth: str, thousandth: str) -> str:
    """An ordinal of hundreds: the last word is one, what is before it are cardinals."""
    if not hundreds:
        return f"{thousands} {thousandth}" if thousands > 1 else thousandth
    parts = [str(thousands * 1000)] * (thousands > 0) + [str(hundreds)] * (hundreds > 1)
    return " ".join([*parts, hundredth])


def _behind_tens(ten: int, one: int, language: Language) -> str:
    """An ordinal beyond twenty that is no multiple of ten."""
    table = language.table["ordinals"]
    number = ten - 2
    match language.code:
        case "de" | "nl":
            return f"{table['ones'][one - 1]}{table['tens'][number]}"
        case "en":
            return f"{table['cardinal_tens'][number]}-{table['small'][one - 1]}"
        case "es" | "pt":
            return f"{table['tens'][number]} {table['small'][one - 1]}"
        case "tr":
            return f"{table['cardinal_tens'][number]} {table['small'][one - 1]}"
        case "it":
            stem = table["cardinal_tens"][number]
            return f"{stem[:-1] if one in (1, 8) else stem}{table['ones'][one - 1]}"
        case _:
            return _french(ten, one, language)


def _french(ten: int, one: int, language: Language) -> str:
    table = language.table["ordinals"]
    if ten in (7, 9):
        return f"{table['cardinal_tens'][ten - 3]}{' et ' if ten == 7 and one == 1 else '-'}{table['small'][9 + one]}"
    unit = "unième" if one == 1 else table["small"][one - 1]
    return f"{table['cardinal_tens'][ten - 2]}{' et ' if one == 1 and ten != 8 else '-'}{unit}"


def year(n: int, language: Language) -> str:
    """A year in the way it is said: in hundreds up to 1999 in English, German and Dutch."""
    hundreds, rest = divmod(n, 100)
    if not 1100 <= n < 2000:
        return str(n)
    match language.code:
        case "en":
            return f"{hundreds} {'hundred' if not rest else f'oh {rest}' if rest < 10 else rest}"
        case "de":
            return f"{hundreds} hundert {rest or ''}".strip()
        case "nl":
            return f"{hundreds} honderd {rest or ''}".strip() if rest < 10 else f"{hundreds} {rest}"
        case _:
            return str(n)


def digits(written: str) -> str:
    """The digits of a text, one by one."""
    return " ".join(c for c in written if c.isdigit())

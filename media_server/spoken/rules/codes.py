"""Codes that are read letter by letter, account and card numbers, versions. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from media_server.spoken.edits import Edits
from media_server.spoken.language import Language
from media_server.spoken.numbers import digits
from media_server.spoken.symbols import without_symbols

__all__ = ["codes", "cued_numbers", "spelled", "versions"]

_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:[ \u00a0]?[A-Z0-9]{4}){2,7}(?:[ \u00a0]?[A-Z0-9]{1,3})?(?!\w)")
_POSTCODES = re.compile(r"(?<![\w-])(?:[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}|[A-Z]\d[A-Z] \d[A-Z]\d)(?![\w-])")
"""Those of Britain and Canada."""
_HEX = re.compile(
    r"(?<![\w.:#-])(?:(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|(?=[a-f]{0,39}\d)(?=\d{0,39}[a-f])(?!\d{1,3}e\d{1,3}(?!\w))[0-9a-f]{7,40})(?![\w:-])"
)
"""Addresses of network cards, UUIDs, hashes."""
_VERSION = re.compile(
    r"(?<![\w.,])(?P<numbers>v?\d{1,5}(?:\.\d{1,5}){2,5})"
    r"(?:-(?P<stage>alpha|beta|rc|pre|dev)\.?(?P<build>\d{1,4})?)?(?![\w]|\.\d)"
)
_PORT = re.compile(r"(?<!\w)(?:\d{1,3}\.){3}\d{1,3}(?::(?P<port>\d{2,5}))?(?:/(?P<bits>\d{1,2}))?(?![\w.:/]|\.\d)")
"""An address on the internet with its port, or how much of it is its network's."""
_RELEASE = re.compile(
    r"(?<![\w.])(?:(?:version|versión|versione|versão|versie|sürüm|release|firmware|kernel|python|ios|ipados|android"
    r"|macos|windows"
    r"|ubuntu|debian|java|node|php|ruby|usb|bluetooth|http"
    r"|tls|django|postgresql|mysql|chrome|firefox|gpt|llama)[ \u00a0-]"
    r"|(?P<v>v)\.?[ \u00a0]?)(?P<number>\d{1,4}\.\d{1,4})(?![\w]|[.,]\d|[ \u00a0]?[%€$])",
    re.IGNORECASE,
)
"""`Python 3.12`, `v2.10`: no decimals."""
_CODE = re.compile(
    r"(?<![\w./@-])(?=[A-Z0-9-]{0,40}[0-9])(?=[0-9-]{0,40}[A-Z])[A-Z0-9]{1,20}(?:-[A-Z0-9]{1,20}){0,6}(?![\w@/]|-\w)"
)
_CALLING = frozenset(("notruf", "dial", "wählen", "wählt", "wähle", "bel", "draai"))
_POSTCODE = re.compile(r"(?<=\d, )(?P<code>\d{5})(?= [A-ZÄÖÜÁÉÍÓÚ])")
"""Five digits behind a house's number."""
_FLIGHT = re.compile(
    r"(?<!\w)(?:flight|train|flug|zug|vol|vuelo|volo|voo|vlucht|trein|tren|treno|uçuş)[ \u00a0](?:number[ \u00a0])?"
    r"(?P<line>(?-i:[A-Z]{2}))(?=[ \u00a0]?\d{1,4}(?!\w))",
    re.IGNORECASE,
)
_COUNTED_OFF = re.compile(r"(?<![\w-])\d{1,2}(?:-\d{1,2}){2,8}(?![\w-])")
_THREE = re.compile(r"(?<![\w.,-])\d{3}(?!\w|[.,]\d|[ \u00a0]?[%€$£])")
_ROADS: Mapping[str, str] = {
    "en": r"(?=(?:US|SR|CR|FM|RR)-)",
    "de": r"(?<=\bdie )|(?<=\bder )|(?<=\bauf )|(?<=\bzur )",
    "fr": r"(?<=\bla )|(?<=\bl['’])",
    "it": r"(?<=\bla )|(?<=\bl['’])|(?<=\bsulla )|(?<=\bdella )",
    "es": r"(?<=\bla )|(?=[A-Z]{1,2}-)",
    "pt": r"(?<=\ba )|(?<=\bna )|(?<=\bda )|(?<=\bpela )|(?=[A-Z]{1,2}-)",
    "tr": r"(?=[A-Z]-)",
}
"""What stands before the name of a road, whose figures are a number: `la N-340`, `BR-101`."""
_FORMULA = re.compile(r"(?<!\w)(?:NaCl|NaOH|HCl|KCl|KOH|(?:CO|SO|NO|CH|N|O|H|NH)[2-4₂₃₄](?:O|SO[4₄])?)(?!\w)")
_ELEMENTS = "He|Li|Be|Ne|Na|Mg|Al|Si|Cl|Ar|Ca|Cr|Mn|Fe|Co|Ni|Cu|Zn|Br|Ag|Sn|Au|Hg|Pb|Ba|Ti|H|B|C|N|O|F|P|S|K|I|U"
_COMPOUND = re.compile(
    rf"(?<![\w-])(?=[A-Za-z()]*[2-9₂-₉]|[A-Z][A-Za-z]*1[0-9])(?=.?[A-Za-z]?[\d₀-₉]{{0,2}}\(?[A-Z])"
    rf"(?:\(?(?:{_ELEMENTS})\)?(?:[2-9₂-₉]|[12][0-9]|[₁₂][₀-₉])?){{2,8}}(?![\w-])"
)
"""What a substance is made of: `C6H12O6`, `Fe2O3`."""
_NAMED = re.compile(
    r"(?<![\w-])(?P<word>\w{2,20})(?:[ \u00a0](?:\w{2,10}[ \u00a0])?|:[ \u00a0]?)(?P<code>[A-Z]{2,8})(?![\w-])"
)
_NAMED_SHORT = re.compile(
    r"(?<![\w-])(?P<word>\w{2,20})\.?(?:[ \u00a0]|:[ \u00a0]?)(?P<code>(?=[A-Z]*\d)(?=\d*[A-Z])[A-Z0-9]{3,5})(?![\w-])"
)
_MIXED = re.compile(
    r"(?<![\w-])(?P<word>\w{2,20})(?::|[ \u00a0](?:is|ist|lautet|est|es|è|é))?[ \u00a0]"
    r"(?P<code>(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{4,14})(?![\w-])"
)
_WORDLIKE = re.compile(r"[A-Z]{4,}")
_VOWELS = frozenset("AEIOUY")


_PLATE = re.compile(
    r"(?<!\w)(?P<cue>[^\W\d_]{5,16})(?:[ \u00a0](?:is|ist|lautet|est|es|è|é|number|no\.?))?[ \u00a0]?:?[ \u00a0]"
    r"(?P<plate>(?=[A-ZÄÖÜ \u00a0-]*\d)(?=[\d \u00a0-]*[A-ZÄÖÜ])"
    r"[A-ZÄÖÜ\d]{1,8}(?:[ \u00a0-][A-ZÄÖÜ\d]{1,4}){0,3})(?![\w-])"
)
_GERMAN_PLATE = re.compile(r"(?<![\w-])(?P<plate>[A-ZÄÖÜ]{1,3}-[A-Z]{1,2} \d{1,4})(?![\w-]|[.,]\d)")


def _plates(edits: Edits, language: Language) -> None:
    """Say the letters and figures of a car's number plate, group by group."""
    cued = (m for m in _PLATE.finditer(edits.text) if m["cue"].lower() in language.listed("plate_cues"))
    for m in (*cued, *(_GERMAN_PLATE.finditer(edits.text) if language.code == "de" else ())):
        if edits.free(*m.span("plate")):
            words = [*re.finditer(r"\S+", m["plate"])]
            for i, word in enumerate(words):
                at = m.start("plate")
                said = _letters(word[0]) + ("," if i < len(words) - 1 else "")
                edits.put(at + word.start(), at + word.end(), said)


def codes(edits: Edits, language: Language) -> None:
    """Say account numbers and number plates character by character, group by group."""
    _plates(edits, language)
    for m in _IBAN.finditer(edits.text):
        if sum(c.isdigit() for c in m[0]) < 8 or not edits.free(*m.span()):
            continue
        groups = re.finditer(r"\S+", m[0])
        found = [(m.start() + g.start(), m.start() + g.end(), g[0]) for g in groups]
        for i, (start, end, group) in enumerate(found):
            edits.put(start, end, _letters(group) + ("," if i < len(found) - 1 else ""))
        edits.take(*m.span())
    for m in _HEX.finditer(edits.text):
        edits.match(m, ", ".join(_letters(part.upper()) for part in re.split("[:-]", m[0])))
    for m in _POSTCODES.finditer(edits.text):
        for word in re.finditer(r"\S+", m[0]):
            start, end = m.start() + word.start(), m.start() + word.end()
            if edits.free(start, end):
                edits.put(start, end, _letters(word[0]))


@cache
def _cued(language: Language) -> re.Pattern[str]:
    def one_of(names: frozenset[str]) -> str:
        return "|".join(map(re.escape, sorted(names, key=len, reverse=True))) or "(?!)"

    strong, weak = one_of(language.listed("digit_cues")), one_of(language.listed("weak_digit_cues"))
    link = r"(?:[ \u00a0](?:is|ist|lautet|es|est|è|é)(?:[ \u00a0](?:le|el|il|o))?|[ \u00a0]?:)?"
    number = (
        r"(?:[ \u00a0](?:number|no\.?|nr\.?|num\.?|n\.?[°º]|n\.?|numéro|número|numero|nummer|numarası|numaranız|#))"
    )
    return re.compile(
        rf"(?<!\w)(?:(?:{strong}){number}?{link}[ \u00a0]?#?"
        rf"(?P<code>\d{{4,12}}(?![ \u00a0-]\d)|\d{{2,6}}(?:[ \u00a0-]\d{{2,6}}){{1,3}})"
        rf"|(?:{weak})(?:{number}{link}[ \u00a0]?(?P<numbered>\d{{4,12}})|:?[ \u00a0]?#?(?P<long>\d{{5,12}})(?<!00))"
        rf"|(?:\w{{2,30}}(?:nummer|numarası|numaranız)|(?:best|kd|art|rg|rechn)\.?-?nr\.)"
        rf"{link}[ \u00a0](?P<joined>\d{{4,12}})"
        rf"|(?:number|numéro|número|numero|nummer|numarası){link}[ \u00a0]#?(?P<plain>\d{{5,12}}))"
        r"(?!\w|[.,]?\d|[ \u00a0]?[%€$£])",
        re.IGNORECASE,
    )


def cued_numbers(edits: Edits, language: Language) -> None:
    """Say numbers digit by digit behind a word that tells that they are codes: `PIN 1234`, `order number 98765`."""
    _official(edits, language)
    for m in _MIXED.finditer(edits.text):
        if m["word"].lower() in language.listed("digit_cues"):
            edits.match(m, _letters(m["code"]), "code")
    for m in _cued(language).finditer(edits.text):
        edits.match(m, digits(m[m.lastgroup or 0]), m.lastgroup or 0)
    cues = language.listed("telephone_cues") | _CALLING
    for m in _THREE.finditer(edits.text):
        before = edits.text[max(0, m.start() - 30) : m.start()].lower().split()[-3:]
        if m[0] in language.listed("emergency") and not cues.isdisjoint(before):
            edits.match(m, digits(m[0]))
    for m in _POSTCODE.finditer(edits.text) if language.code in ("de", "es", "it") else ():
        edits.match(m, digits(m["code"]), "code")
    for m in _COUNTED_OFF.finditer(edits.text):
        edits.match(m, m[0].replace("-", " "))
    for m in _FLIGHT.finditer(edits.text):
        edits.match(m, _letters(m["line"]), "line")


_ENDING = re.compile(
    r"(?i:(?<!\w)(?:end(?:s|ing) (?:in|with)|last (?:three|four|3|4) digits(?: are| is)?"
    r"|endet auf|endend auf|endziffern|termina(?:da|do|ndo)? (?:en|em|in|con|com)"
    r"|(?:se )?termin(?:e|ant) par|finissant par|eindigt op|eindigend op|che termina (?:con|in)))"
    r"[ \u00a0](?P<code>\d{3,6})(?!\w|[.,]\d)"
)
_ZEROS = re.compile(r"(?<![\w.,-])\d{2,8}-0\d{2,7}(?![\w-]|[.,]\d)|(?<=#)\d{2,8}(?:-\d{2,8})+(?!\w)")
"""Groups of digits of which one begins with a nought are no range."""
_UNEVEN = re.compile(r"(?<![\w.,$€£/-])(?:\d{2}-\d{4,8}|\d{3}-\d{5,8})(?<!00)(?![\w%$€£/-]|[.,]\d|[ \u00a0][%$€£])")
"""Groups of digits so different in length that they are no range: `48-2210`."""
_HYPHENED = re.compile(r"(?<![\w.,/-])\d{1,8}(?:-\d{1,8}){2,6}(?![\w/-]|[.,]\d)")
_POSTAL = re.compile(r"(?<![\w.,-])\d{4,5}-\d{3}(?![\w-]|[.,]\d)")
_CNPJ = re.compile(r"(?<![\w.])\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}(?!\w)")
_SOCIAL = re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")
_ZIP = re.compile(r"(?<=, [A-Z]{2} )\d{5}(?:-\d{4})?(?!\w)")


_OWN: Mapping[str, tuple[re.Pattern[str], ...]] = {"en": (_ZIP,), "pt": (_POSTAL,)}


def _official(edits: Edits, language: Language) -> None:
    """Say numbers that authorities give out digit by digit, group by group."""
    for pattern in (_CNPJ, _SOCIAL, _ZEROS, _UNEVEN, *_OWN.get(language.code, ())):
        for m in pattern.finditer(edits.text):
            edits.match(m, ", ".join(digits(group) for group in re.findall(r"\d+", m[0])))
    for m in _HYPHENED.finditer(edits.text):
        if not _COUNTED_OFF.fullmatch(m[0]):
            edits.match(m, ", ".join(digits(group) for group in m[0].split("-")))
    for m in _ENDING.finditer(edits.text):
        edits.match(m, digits(m["code"]), "code")


def versions(edits: Edits, language: Language) -> None:
    """Say the dots of versions and of addresses on the internet."""
    for m in _PORT.finditer(edits.text):
        if m["port"] or m["bits"]:
            host, *rest = re.split(r"[:/]", m[0])
            behind = f", {digits(m['port'])}" if m["port"] else f" {language.word('slash')} {rest[-1]}"
            edits.match(m, host.replace(".", f" {language.word('dot')} ") + behind)
    for m in _RELEASE.finditer(edits.text):
        edits.match(m, m["number"].replace(".", f" {language.word('point')} "), "number")
        if m["v"] and edits.free(*m.span("v")):
            edits.put(m.start("v"), m.start("number"), "V ")
    for m in _VERSION.finditer(edits.text):
        numbers, stage = m["numbers"], f" {m['stage']} {m['build'] or ''}".rstrip() if m["stage"] else ""
        if language.group == "." and re.fullmatch(r"[1-9]\d{0,2}(?:\.\d{3})+", m[0]):
            continue  # thousands
        dot = language.word("dot" if numbers.count(".") == 3 else "point")
        said = numbers.replace(".", f" {dot} ") + stage
        edits.match(m, f"V {said[1:]}" if said.startswith("v") else said)


def spelled(edits: Edits, language: Language) -> None:
    """Say codes of letters and digits one character after the other."""
    for m in _COMPOUND.finditer(edits.text):
        if re.search(r"(?i:code|pin|id|ref)\W{0,3}$", edits.text[max(0, m.start() - 8) : m.start()]):
            continue
        parts = re.findall(r"[A-Z]|[a-z]|\d+", without_symbols(m[0]))
        edits.match(m, " ".join(p.upper() for p in parts))
    if road := _road(language):
        for m in road.finditer(edits.text):
            edits.match(m, f"{' '.join(m['letters'])} {m['number']}")
    for m in _CODE.finditer(edits.text):
        parts = m[0].split("-")
        characters = "".join(parts)
        words = [p for p in parts if _is_word(p)]
        if re.fullmatch(r"[QH][1-4]-[QH][1-4]", m[0]):
            continue  # quarters
        if len(characters) >= 4 and not words and sum(c.isdigit() for c in characters) >= 2 - (len(parts) == 1):
            if not re.fullmatch(r"[A-Z]{2,4}-?\d{1,2}|\d{1,3}[A-Z]{1,3}", m[0]) or len(characters) > 5:
                edits.match(m, ", ".join(_letters(p) for p in parts))
        elif re.fullmatch(r"\d{1,3}[A-Z]|[A-Z]\d{1,3}", m[0]):
            edits.match(m, " ".join(re.findall(r"\d+|[A-Z]", m[0])))
    for m in _FORMULA.finditer(edits.text):
        edits.match(m, " ".join(without_symbols(m[0]).upper()))
    for m in _NAMED_SHORT.finditer(edits.text):
        if m["word"].lower() in language.listed("code_cues"):
            edits.match(m, _letters(m["code"]), "code")
    for m in _NAMED.finditer(edits.text):
        if m["word"].lower() in language.listed("code_cues") and not any(v in m["code"] for v in _VOWELS - {"Y"}):
            edits.match(m, _letters(m["code"]), "code")


@cache
def _road(language: Language) -> re.Pattern[str] | None:
    before = _ROADS.get(language.code)
    found = rf"(?<![\w./@-])(?:{before})(?P<letters>[A-Z]{{1,2}})-?(?P<number>[1-9]\d{{2}})(?![\w@/]|-\w)"
    return re.compile(found) if before else None


def _is_word(part: str) -> bool:
    """Whether a part is a word in capitals: `COVID` of `COVID-19`."""
    found = _WORDLIKE.fullmatch(part)
    return found is not None and any(c in _VOWELS for c in part)


def _letters(code: str) -> str:
    """The characters one by one; a comma behind letters keeps each from being taken for a word."""
    return ", ".join(c for c in code if c.isalnum())

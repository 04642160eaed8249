"""Dates and times of day. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from media_server.spoken.edits import Edits
from media_server.spoken.ends import goes_on
from media_server.spoken.language import Language
from media_server.spoken.numbers import agreeing, counted, ordinal, year
from media_server.spoken.suffixes import dative

__all__ = ["clock_time", "date_said", "dates", "german_ending", "no_measure", "short_dates", "times"]

_ISO = re.compile(
    r"(?<![\w/.-])(?P<year>[12]\d{3})(?P<sep>[-/.])(?P<month>0[1-9]|1[0-2])(?P=sep)(?P<day>0[1-9]|[12]\d|3[01])(?![\d/-]|\.\d)"
)
_ISO_SHORT = re.compile(
    r"(?<![\w/.-])(?P<year>19\d\d|20\d\d)(?P<sep>[-/])(?P<month>[1-9]|0[1-9]|1[0-2])(?P=sep)(?P<day>[1-9]|0[1-9]|[12]\d|3[01])(?![\w/-]|\.\d)"
)
_INSTANT = re.compile(
    r"(?<![\w-])(?P<date>(?P<year>[12]\d{3})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01]))"
    r"(?P<t>T)(?P<time>(?P<hour>[01]\d|2[0-4]):(?P<minute>[0-5]\d)(?::[0-5]\d(?:[.,]\d{1,9})?)?)(?:Z|[+-]\d\d:?\d\d)?(?!\w)"
)
"""A moment in the form of ISO 8601."""
_MONTH_YEAR = re.compile(r"(?<![\w/.,-])(?P<month>0[1-9]|1[0-2])/(?P<year>(?:19|20)\d\d)(?![\w/-]|[.,]\d)")
_MONTH_NAMED = r"(?<![\w./-])(?P<day>[0-3]?\d)(?P<sep>[-/])(?P<month>{})(?P=sep)(?P<year>[12]\d{{3}}|\d\d)(?![\w/-])"
_NUMERIC = re.compile(
    r"(?<![\w./-])(?P<first>\d{1,2})(?P<sep>[/.-])(?P<second>\d{1,2})(?P=sep)(?P<year>[12]\d{3}|\d{2})(?![\w/-]|\.\d)"
)
_SHORT = re.compile(r"(?<![\w./,-])(?P<day>[0-3]?\d)\.(?P<month>[01]?\d)\.(?![\w.])")
_RANGE = re.compile(r"(?<=[\dmMhH.])[-–—](?=\d{1,2}(?:[:hH]\d\d|[ \u00a0]?[ap]\.?m\b))")
"""A dash before a range's second time."""
_PARTS = frozenset(("1/2", "1/3", "2/3", "1/4", "3/4", "1/5", "1/8"))
"""What may be part of something: `le 1/2 litre`."""
_HOURS = re.compile(r"\.?[ \u00a0]\d{1,2}(?:[:.hH]\d\d|[hH])?[ \u00a0]?[-–][ \u00a0]?\d")
_SCREENS = frozenset(((16, 9), (16, 10), (21, 9)))
_SCREEN = re.compile(
    r"(?i:screens?|display|monitor|tv|vid[eé]o|aspect|ratio|format[oe]?|formaat|[eé]cran|image|pantalla|schermo|scherm|"
    r"bildschirm|bild|ekran|tela|film)(?!\w)"
)
"""What `16/9` is the shape of."""
_BEHIND_DATES = frozenset(
    ("from", "until", "between", "alle", "dalle", "hasta", "para", "desde", "entre", "pour", "voor", "vanaf", "tussen")
)
_DATIVE_WORDS = "am vom zum im beim bis seit ab dem den mit nach von zu bei in an"
_GERMAN_DAYS = frozenset(
    "mo di mi do fr sa so montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag".split()  # noqa: SIM905
)
_MONTHS_DE = frozenset(
    "januar februar märz april mai juni juli august september oktober november dezember".split()  # noqa: SIM905
)
_DATE_BEFORE = re.compile(
    rf"(?:\d\.?|{'|'.join(_MONTHS_DE)})[ \u00a0](?:und|oder|bis)(?: (?:zum|dem|den|der))?[ \u00a0]$"
)
_DATIVE = frozenset(_DATIVE_WORDS.split())
MONTHS = 12


def dates(edits: Edits, language: Language) -> None:
    """Say dates with their months' names, and months and days of the week that are abbreviated in full."""
    for m in _INSTANT.finditer(edits.text):
        _put_instant(edits, m, language)
    for m in (*_ISO.finditer(edits.text), *_ISO_SHORT.finditer(edits.text)):
        _put(edits, m, int(m["day"]), int(m["month"]), int(m["year"]), language)
    for m in _NUMERIC.finditer(edits.text):
        first, second = int(m["first"]), int(m["second"])
        month_first = language.table["date_order"] == "mdy" and m["sep"] in "/-"
        month, day = (first, second) if (month_first and first <= 12) or second > 12 else (second, first)
        n = int(m["year"])
        _put(edits, m, day, month, n if n > 99 else n + (2000 if n < 70 else 1900), language)
    for m in _MONTH_YEAR.finditer(edits.text):
        of = " de" if language.code in ("es", "pt") else ""
        edits.match(m, f"{language.months[int(m['month']) - 1]}{of} {year(int(m['year']), language)}")
    for m in _month_named(language).finditer(edits.text):
        names = [*(name.lower() for name in language.months), *language.words("month_abbreviations")]
        full = language.words("month_abbreviations").get(m["month"].lower(), m["month"]).lower()
        if full in names:
            n = int(m["year"])
            month = [name.lower() for name in language.months].index(full) + 1
            _put(edits, m, int(m["day"]), month, n if n > 99 else n + (2000 if n < 70 else 1900), language)
    if language.code == "de":
        _german_ranges(edits, language)
        for m in _SHORT.finditer(edits.text):
            if edits.free(*m.span()) and 1 <= int(m["day"]) <= 31 and 1 <= int(m["month"]) <= 12:
                stop = "" if goes_on(edits.text, m.end(), language) else "."
                said = date_said(edits.text, m.start(), int(m["day"]), int(m["month"]), None, language)
                edits.match(m, said + stop)
    _cued_dates(edits, language)
    _first_of_month(edits, language)
    _names(edits, language)


@cache
def _range_pattern(language: Language) -> re.Pattern[str]:
    months = "|".join([*language.months, *language.words("month_abbreviations")])
    return re.compile(
        r"(?<![\w.,/-])(?P<a>\d{1,2})\.[ \u00a0]?[-–][ \u00a0]?(?P<b>\d{1,2})\."
        rf"(?:[ \u00a0]?(?P<month>0?[1-9]|1[0-2])\.(?P<year>[12]\d{{3}})?|(?=[ \u00a0](?i:{months})(?!\w)))"
    )


def _german_ranges(edits: Edits, language: Language) -> None:
    """Say `2.-4. Mai` and `2.–4.5.2024`."""
    for m in _range_pattern(language).finditer(edits.text):
        ending = german_ending(edits.text, m.start())
        first, last = (ordinal(int(m[day]), language, ending=ending) for day in "ab")
        month = f" {language.months[int(m['month']) - 1]}" if m["month"] else ""
        edits.match(m, f"{first} {language.word('to')} {last}{month}{' ' + m['year'] if m['year'] else ''}")


@cache
def _cued_pattern(language: Language) -> re.Pattern[str]:
    elided = r"(?i:(?<!\w)(?:l|all|dall|dell|nell)['’])" if language.code == "it" else "(?!)"
    if language.code == "tr":
        days = _one_of([*language.weekdays, *language.words("weekday_abbreviations")])
        return re.compile(
            rf"(?P<on>(?<!\w)(?:{days})\.?[ \u00a0])?(?<![\w./,-])(?P<date>(?P<a>\d{{1,2}})/(?P<b>\d{{1,2}}))"
            r"(?P<in>(?=[ \u00a0]tarih|['’][dt][ae]))?(?![\w/]|[.,]\d)"
        )
    days = _one_of(sorted([*language.weekdays, *language.words("weekday_abbreviations")], key=len, reverse=True))
    separator = "[/-]" if language.code == "nl" else "/"
    return re.compile(
        rf"(?:(?i:(?<!\w)(?P<cue>{_one_of(language.listed('date_cues'))}))[ \u00a0]"
        rf"|(?i:(?<!\w)(?:{days})\.?,?|week of|week van|semana de)[ \u00a0]|{elided})"
        rf"(?P<date>(?P<a>\d{{1,2}})(?P<sep>{separator})(?P<b>\d{{1,2}}))"
        r"(?![\w/-]|[.,]\d|[ \u00a0](?:d\w{1,4}|of|van)\b)"
    )


def _cued_dates(edits: Edits, language: Language) -> None:
    """Say `3/5` as a date behind a word that dates stand behind: *el 3/5* is no fraction."""
    for m in _cued_pattern(language).finditer(edits.text):
        if language.code == "tr" and m["on"] is None and m["in"] is None:
            continue
        a, b = int(m["a"]), int(m["b"])
        month, day = (a, b) if language.table["date_order"] == "mdy" else (b, a)
        noun = re.match(r"[ \u00a0]([^\W\d_]{4,})", edits.text[m.end() : m.end() + 20])
        is_part = m["date"] in _PARTS and noun is not None and noun[1].lower() not in _BEHIND_DATES
        if language.code == "nl" and m["sep"] == "-" and _may_be_score(m):
            continue
        if 1 <= month <= 12 and 1 <= day <= 31 and not is_part:
            edits.match(m, date_said(edits.text, m.start("date"), day, month, None, language), "date")


def _may_be_score(m: re.Match[str]) -> bool:
    """Whether `op 3-1` and `tot 5-10` may be something else than a date; `vanaf 1-1` and `op 31-12` are none of it."""
    written = (m["a"], m["b"])
    return (m["cue"] or "").lower() in ("op", "tot") and int(m["a"]) <= MONTHS and not any(n[0] == "0" for n in written)


def short_dates(edits: Edits, language: Language) -> None:
    """Say what is left of `12/25` or `25/12`, which is no fraction, as day and month."""
    for m in re.finditer(r"(?<![\w./-])(\d{1,2})/(\d{1,2})(?![\w/]|[.,]\d)", edits.text):
        a, b = int(m[1]), int(m[2])
        if (a, b) in _SCREENS and _SCREEN.search(edits.text[max(0, m.start() - 30) : m.end() + 30]):
            edits.match(m, f"{a} {language.word('ratio')} {b}" if language.code != "tr" else f"{dative(a)} {b}")
            continue
        month, day = (a, b) if language.table["date_order"] == "mdy" else (b, a)
        if month > 12 and day <= 12:
            month, day = day, month
        if 1 <= month <= 12 and 12 < day <= 31:
            edits.match(m, date_said(edits.text, m.start(), day, month, None, language))


@cache
def _month_named(language: Language) -> re.Pattern[str]:
    names = sorted([*language.months, *language.words("month_abbreviations")], key=len, reverse=True)
    return re.compile(_MONTH_NAMED.format("|".join(map(re.escape, names))), re.IGNORECASE)


def _put_instant(edits: Edits, m: re.Match[str], language: Language) -> None:
    """Say `2024-05-03T15:30:00Z` as a date and a time."""
    day = date_said(edits.text, m.start(), int(m["day"]), int(m["month"]), int(m["year"]), language)
    hour, minute = int(m["hour"]), int(m["minute"])
    time = _english(hour, minute, None, m["minute"]) if language.code == "en" else clock_time(hour, minute, language)
    edits.match(m, f"{day}, {time}")


def _put(edits: Edits, m: re.Match[str], day: int, month: int, n: int, language: Language) -> None:
    if 1 <= month <= 12 and 1 <= day <= 31:
        edits.match(m, date_said(edits.text, m.start(), day, month, n, language))


def date_said(text: str, at: int, day: int, month: int, n: int | None, language: Language) -> str:
    """A date in words, without its year if that is None."""
    name = language.months[month - 1]
    form = language.table["date"] if n is not None else language.table["day_month"]
    return str(form).format(
        day=day_of_month(text, at, day, language), month=name, year=year(n, language) if n is not None else ""
    )


def day_of_month(text: str, at: int, day: int, language: Language) -> str:
    """The day as it is said in a date that stands at this place."""
    match language.code:
        case "de":
            return ordinal(day, language, ending=german_ending(text, at))
        case "fr" | "it" | "pt" if day == 1:
            return ordinal(1, language)
        case _:
            return str(day)


def german_ending(text: str, at: int) -> str:
    """What a German ordinal at this place ends in, by the words before it: `n`, `r` or nothing."""
    words = re.findall(r"\w+", text[max(0, at - 40) : at].lower())
    if words and words[-1] in _GERMAN_DAYS:
        words.pop()  # "am Mo., 3. Mai"
    dated = _DATE_BEFORE.search(text[max(0, at - 40) : at].lower())
    while (
        dated
        and len(words) > 1
        and words[-1] in ("und", "oder", "bis")
        and (words[-2].isdigit() or words[-2] in _MONTHS_DE)
    ):
        words.pop()  # "am 3. und 4. Mai", "vom 3.5. bis 8.5.", "vom 3. Mai bis 8. Juni"
        while words and (words[-1].isdigit() or words[-1] in _MONTHS_DE):
            words.pop()
    before = words[-1] if words else ""
    if before in _DATIVE or before in (
        "des",
        "d",
        "einem",
        "einen",
        "meinem",
        "seinem",
        "ihrem",
        "jedem",
        "jeden",
        "diesem",
    ):
        return "n"
    if before in ("der", "die", "das"):
        dative = len(words) > 1 and words[-2] in _DATIVE | {"auf", "aus", "seit", "während", "hälfte", "ende", "anfang"}
        return "n" if dative else ""
    if before in ("eine", "meine", "seine", "ihre", "jede", "diese", "unsere"):
        return ""
    return "r"


@cache
def _name_pattern(language: Language) -> re.Pattern[str]:
    months = "|".join(map(re.escape, sorted(language.words("month_abbreviations"), key=len, reverse=True)))
    return re.compile(
        rf"(?P<lead>\b\d{{1,2}}(?:st|nd|rd|th|er|\.|º|°)?[ \u00a0](?:(?:de|of)[ \u00a0])?)"
        rf"(?P<after>{months})(?P<dot>\.?)(?![\w'])"
        rf"|(?<![\w.])(?P<before>{months})(?P<dot2>\.?)(?=[ \u00a0]\d(?!\d?/\d))",
        re.IGNORECASE,
    )


@cache
def _day_pattern(language: Language) -> re.Pattern[str]:
    days = "|".join(map(re.escape, sorted(language.words("weekday_abbreviations"), key=len, reverse=True)))
    day = rf"(?:{days})"
    either = rf"(?:{'|'.join(language.weekdays)}|{days})"
    months = "|".join(map(re.escape, [*language.months, *language.words("month_abbreviations")]))
    followed = rf"\.?,?(?=[ \u00a0]\d{{1,2}}(?:\.|º|°|er)?[ \u00a0](?:de[ \u00a0])?(?i:{months})(?!\w))"
    followed += r"|\.?(?=[ \u00a0]\d{1,2}(?:[:.hH]\d\d|[hH])?(?:[ \u00a0]?[ap]\.?m\.?)?[ \u00a0]?[-–][ \u00a0]?\d)"
    followed += r"|\.?(?=[ \u00a0](?:closed|geschl|cerrado|fermé|chiuso|fechado|gesloten|kapalı|geöffnet|open)\w*)"
    followed += rf"|\.?(?=,?[ \u00a0](?i:{months})\.?[ \u00a0]\d)"
    followed += r"|\.?(?=[ \u00a0]?:[ \u00a0]?\d)|\.?(?=,?[ \u00a0]\d{1,2}[./]\d{1,2}(?!\d))"
    if language.code in ("en", "de", "nl"):
        # elsewhere such a word is more often another one, such as "seg." for seconds
        followed += r"|(?<!Fr)\.(?=,?[ \u00a0][\w])|(?<=Fr)\.(?=,?[ \u00a0](?:\d|[a-z]))|(?=,[ \u00a0]\d)"
    return re.compile(
        rf"(?<!\w)(?P<first>{either})\.?[ \u00a0]?(?P<dash>[-–—])[ \u00a0]?(?P<last>{either})(?P<dot>\.?)(?!\w)"
        rf"|(?<!\w)(?P<only>{day})(?:{followed})",
        0 if language.code in ("en", "de", "nl") else re.IGNORECASE,
    )


@cache
def _day_list(language: Language) -> re.Pattern[str]:
    """Days of the week one after the other, which none of them would be surely by itself: `Mo, Mi und Fr`."""
    days = "|".join(map(re.escape, sorted(language.words("weekday_abbreviations"), key=len, reverse=True)))
    day = rf"(?:{days})(?!\w)\.?"
    and_or = _one_of(w for w in language.listed("conjunctions") | language.listed("range_links") if "_" not in w)
    return re.compile(
        rf"(?<![\w.]){day}(?:(?:,[ \u00a0]|[ \u00a0]?[+&/][ \u00a0]?|,?[ \u00a0](?:{and_or})[ \u00a0]){day})+(?!\w)",
        re.IGNORECASE,
    )


@cache
def _cued_day(language: Language) -> re.Pattern[str]:
    """A day of the week that ends a sentence: `by Mon.`"""
    days = _one_of(sorted(language.words("weekday_abbreviations"), key=len, reverse=True))
    # in Turkish the day of the week stands behind the date
    months = (*language.months, *language.words("month_abbreviations")) if language.code == "tr" else ()
    cues = _one_of([*language.listed("day_cues"), *months])
    return re.compile(rf"(?i:(?<!\w)(?:{cues}))\.?[ \u00a0](?P<day>{days})(?=\.(?:\s*\Z|\s+[^\W\d_a-zà-ÿ]))")


@cache
def _first_pattern(language: Language) -> re.Pattern[str]:
    months = "|".join(map(re.escape, [*language.months, *language.words("month_abbreviations")]))
    return re.compile(rf"(?<![\w.,/:-])(?P<day>1[°º]?)[ \u00a0](?:de[ \u00a0])?(?:{months})(?!\w)", re.IGNORECASE)


def _first_of_month(edits: Edits, language: Language) -> None:
    """Say the first of a month as an ordinal, in the languages that do."""
    if language.code in ("fr", "it", "pt"):
        for m in _first_pattern(language).finditer(edits.text):
            edits.match(m, ordinal(1, language), "day")


def _names(edits: Edits, language: Language) -> None:
    months, days = language.words("month_abbreviations"), language.words("weekday_abbreviations")
    day_names = {short.lower(): name for short, name in days.items()}
    day_names |= {name.lower(): name for name in language.weekdays}
    for m in _name_pattern(language).finditer(edits.text) if months else ():
        name = m["after"] or m["before"]
        if name[0].isupper() or language.code not in ("en", "de"):
            start, end = m.span("after") if m["after"] else m.span("before")
            dot = m["dot"] or m["dot2"]
            full = months.get(name.lower())
            if name.lower() in day_names and _HOURS.match(edits.text, end):
                continue  # "mar 9-17"
            if full and edits.free(start, end):
                drops = dot and goes_on(edits.text, end + 1, language)
                end += 1 if drops else 0
                year_behind = re.compile(r"[ \u00a0](?=[12]\d{3}(?!\d))").match(edits.text, end)
                if m["after"] and language.code in ("es", "pt"):
                    # "5 ene 2024" is "5 de enero de 2024"
                    full = full if "de" in m["lead"] else f"de {full}"
                    full += " de" if year_behind else ""
                edits.put(start, end, full)
    for m in _day_list(language).finditer(edits.text) if days else ():
        for d in re.finditer(r"([^\W\d_]+)(\.?)", m[0]):
            start, end = m.start() + d.start(), m.start() + d.end()
            if d[1].lower() in day_names and edits.free(start, end) and (d[1][0].isupper() or language.code != "de"):
                stop = "." if d[2] and end == m.end() and not goes_on(edits.text, end, language) else ""
                edits.put(start, end, day_names[d[1].lower()] + stop)
        for slash in re.finditer("/", m[0]):
            at = m.start() + slash.start()
            if edits.free(at, at + 1):
                edits.put(at, at + 1, ", ")
    for m in _cued_day(language).finditer(edits.text) if days else ():
        edits.match(m, day_names[m["day"].lower()], "day")
    for m in _day_pattern(language).finditer(edits.text) if days else ():
        if m["only"]:
            if edits.free(*m.span()):
                edits.put(m.start(), m.end(), day_names[m["only"].lower()])
        elif edits.free(*m.span()):
            stop = "." if m["dot"] and not goes_on(edits.text, m.end(), language) else ""
            first, last = (day_names[m[name].lower()] for name in ("first", "last"))
            edits.put(m.start(), m.end(), f"{first} {language.word('to')} {last}{stop}")


@cache
def _clock(language: Language) -> re.Pattern[str]:
    words = _one_of(sorted(language.listed("hour_words"), key=len, reverse=True))
    h_form = r"|[hH]" if language.code in ("fr", "pt", "es") else ""
    half = r"(?:[ \u00a0]?(?P<half>[ap](?:\.[ \u00a0]?)?m\b\.?))"
    return re.compile(
        rf"(?<![\w:.,/-])(?<![\d]–)(?P<hour>[01]?\d|2[0-4])"
        rf"(?:(?P<sep>:{h_form})(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?(?![\d:%])"
        rf"|\.(?P<minute2>[0-5]\d)(?=[ \u00a0]?(?:[ap]\.?m\b|(?:{words})(?!\w)))"
        rf"|(?=[ \u00a0]?[ap](?:\.[ \u00a0]?)?m\b))"
        rf"(?:{half}|[ \u00a0]?(?P<word>{words})(?!\w))?",
        re.IGNORECASE,
    )


@cache
def _minutes(language: Language) -> re.Pattern[str]:
    """What tells that figures with a colon are minutes and seconds."""
    unit = language.units["min"]
    return re.compile(rf"[ \u00a0](?:min|mins|Min|{unit.one}|{unit.many})(?:\.(?=[ \u00a0][^\W\d_]))?(?!\w)")


def times(edits: Edits, language: Language) -> None:
    """Say times of day."""
    # a range's second time stands right behind its dash
    text = edits.text
    _dotted_times(edits, language)
    for m in _clock(language).finditer(_RANGE.sub(" ", text)):
        minute = m["minute"] or m["minute2"]
        if minute is None and not m["half"]:
            continue
        stop = ""
        if m["half"] and m["half"].endswith(".") and not goes_on(text, m.end(), language):
            stop = "."
        said = _time(int(m["hour"]), int(minute or 0), m, language)
        if m["sep"] and not m["half"] and not m["word"] and (unit := _minutes(language).match(text, m.end())):
            if edits.free(m.start(), unit.end()):
                parts = [(m["hour"], "min"), (minute or "0", "s")]
                found = [counted(str(int(n)), language.units[u], language) for n, u in parts if int(n)]
                edits.put(m.start(), unit.end(), f" {language.word('and')} ".join(found))
            continue
        if m["second"] and not m["half"] and (end := _duration_ends(text, m, language)):
            if edits.free(m.start(), end):
                edits.put(m.start(), end, _duration(m, language))
            continue
        if m["second"] and m["second"] != "00":
            said += f" {language.word('and')} {counted(str(int(m['second'])), language.units['s'], language)}"
        end = m.end()
        if m["word"] and text[end : end + 2] == ". " and goes_on(text, end + 1, language):
            end += 1  # "6.05 u. van"
        if edits.free(m.start(), end):
            edits.put(m.start(), end, said + stop)


def _duration_ends(text: str, m: re.Match[str], language: Language) -> int | None:
    """Where `1:02:45` ends if it is the time that something takes: by the words around it, or since it has no hours."""
    unit = language.units["h"]
    behind = re.compile(rf"[ \u00a0](?:(?:h|hrs?|Std)(?:\.(?=[ \u00a0][^\W\d_]))?|{unit.one}|{unit.many})(?!\w)").match(
        text, m.end()
    )
    if behind:
        return behind.end()
    before = re.findall(r"[^\W\d_]+", text[max(0, m.start() - 30) : m.start()].lower())
    cued = not language.listed("duration_cues").isdisjoint(before[-2:])
    return m.end() if cued or int(m["hour"]) == 0 else None


def _duration(m: re.Match[str], language: Language) -> str:
    parts = [(m["hour"], "h"), (m["minute"], "min"), (m["second"], "s")]
    found = [counted(str(int(n)), language.units[unit], language) for n, unit in parts if int(n)] or ["0"]
    return f" {language.word('and')} ".join([*([" ".join(found[:-1])] if found[:-1] else []), found[-1]])


@cache
def _dotted_pattern(language: Language) -> re.Pattern[str]:
    cues, words = _one_of(language.listed("hour_cues")), _one_of(language.listed("hour_words"))
    return re.compile(
        rf"(?i:(?<!\w)(?:{cues}))[ \u00a0](?P<time>([01]?\d|2[0-3])\.([0-5]\d))"
        rf"(?![\w.,]*\d|[ \u00a0](?:{words})|{no_measure(language)})"
    )


def _dotted_times(edits: Edits, language: Language) -> None:
    """Say `15.30` as a time behind a word such as *alle* or *um*."""
    if language.decimal == ",":
        for m in _dotted_pattern(language).finditer(edits.text):
            edits.match(m, clock_time(int(m[2]), int(m[3]), language), "time")


@cache
def no_measure(language: Language) -> str:
    """A pattern of what makes a price or a measure of the figures before it."""
    units = _one_of(
        sorted([*language.units, *language.currencies, *language.words("magnitudes")], key=len, reverse=True)
    )
    money = {noun.lower() for c in language.currencies.values() for noun in (c.unit.one, c.unit.many)}
    return rf"[ \u00a0]?(?:(?:{units})(?!\w)|(?i:{_one_of(sorted(money, key=len, reverse=True))})(?!\w)|[%$€£])"


def _one_of(words: Iterable[str]) -> str:
    """A pattern of any of these; of nothing where there are none."""
    return "|".join(map(re.escape, words)) or "(?!)"


def _time(hour: int, minute: int, m: re.Match[str], language: Language) -> str:
    half = m["half"]
    if language.code == "en":
        return _english(hour, minute, half, m["minute"] or m["minute2"])
    day_half = f" {language.words('halves').get(half[0].lower(), '')}" if half else ""
    return clock_time(hour, minute, language) + day_half


def clock_time(hour: int, minute: int, language: Language) -> str:
    """A time of day in words."""
    h = agreeing(str(hour), True, language) if language.code != "de" else ("ein" if hour == 1 else str(hour))
    form = language.table["time"] if minute else language.table["hour"]
    if hour == 1 and language.code in ("fr", "pt"):
        form = form.replace("heures", "heure").replace("horas", "hora")
    if hour == 0 and language.code == "fr":
        form = form.replace("heures", "heure")
    return str(form).format(hour=h, minute=minute)


def _english(hour: int, minute: int, half: str | None, written: str | None) -> str:
    after = f" {half[0].upper()}M" if half else ""
    if written is None or (not minute and half):
        return f"{hour}{after}"
    if not minute:
        return "midnight" if hour in (0, 24) else f"{hour} o’clock" if hour <= 12 else f"{hour} hundred"
    return f"{hour} {'oh ' if minute < 10 else ''}{minute}{after}"

"""Signs between and before numbers, comparisons, dashes, and what else is a sign and not a mark. Pure."""

from __future__ import annotations

import re
import unicodedata

from media_server.spoken.edits import Edits
from media_server.spoken.language import Language
from media_server.spoken.rules.links import range_word
from media_server.spoken.suffixes import dative

__all__ = ["signs"]

_G = "[ \u00a0]?"
_LEFT = "[\\w)\\]%°²³€$£’']"
_RIGHT = r"[\w(\[√π$€£.,+−-]"
_BETWEEN: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"(?<=\d)([ \u00a0]?[×xX][ \u00a0])(?=[^\W\d_a-zß-ÿ][^\W\d_])"), "count"),  # "2 × Margherita"
    (
        re.compile(r"(?<=[^\W\d_]{2})([*_]{0,2}[ \u00a0][>›][ \u00a0])(?=[*_]{0,2}[^\W\d_a-zß-ÿ])"),
        "arrow",
    ),  # "Settings > Privacy"
    (re.compile(rf"(?<=[\w)\]²³])({_G}(?:\*\*|\^){_G})(?=[\w(−-])"), "power"),
    (
        re.compile(
            r"(?:(?<=\d [a-z]m)|(?<=\d[cmk]m)|(?<=\d ft)|(?<=\d in)|(?<=\d m)|(?<=\dm))"
            r"([ \u00a0]?[xX×][ \u00a0]?)(?=\d)"
        ),
        "by",
    ),
    (
        re.compile(r"(?<=\d)([ \u00a0]?[×xX][ \u00a0]?)(?=\d[\d.,]{0,8}[ \u00a0]?(?:[mck]?m|in|ft|px)(?![\w]| ?=))"),
        "by",
    ),
    (re.compile(r"(?<=\d)([ \u00a0]?[xX×][ \u00a0]?)(?=[$€£]\d|R\$)"), "times"),
    (re.compile(r"(?<=[\d)])([ \u00a0]?(?:\*|×|·|⋅)[ \u00a0]?)(?=[\w(√π.−-])|(?<=[^\W_])( ?[*×⋅] ?)(?=\d)"), "times"),
    (re.compile(r"(?<= [^\W\d_])( [*×⋅] )(?=[^\W\d_](?!\w))|(?<=\A[^\W\d_])( [*×⋅] )(?=[^\W\d_](?!\w))"), "times"),
    (re.compile(r"(?<=\d)([ \u00a0]?[xX][ \u00a0]?)(?=\d[\d.,]{0,12}(?: ?[xX] ?\d[\d.,]{0,12}){0,4} ?=)"), "times"),
    (
        re.compile(r"(?<=\d)(?<!\b0)([ \u00a0]?[xX][ \u00a0]?)(?=\d)"),
        "by",
    ),
    (re.compile(r"(?<=\b[a-z])(\*)(?=[a-z]\b)"), "times"),
    (re.compile(r"(?<=\d)([xX×])(?![\w+^]| ?[=+−])"), "fold"),
    (re.compile(r"(?<=\d)([ \u00a0][xX×])(?=[ \u00a0][^\W\d_]{2})"), "fold"),
    (re.compile(r"(?<=\b[QH]\d)([-–])(?=[QH]\d\b)"), "to"),
    (re.compile(r"(?:(?<=[ap]m)|(?<=m\.))([-–])(?=noon\b|midnight\b)"), "to"),
    (re.compile(r"(?<=\d)([ \u00a0]:[ \u00a0])(?=\d)"), "ratio_apart"),
    (re.compile(r"(?<=\d[a-z])(\+)(?=\d)"), "plus"),
    (re.compile(r"(?<=GMT|UTC|CET|EST|PST)([ \u00a0]?\+)(?=\d)"), "plus"),
    (re.compile(r"(?<=GMT|UTC|CET|EST|PST)([ \u00a0]?[-−])(?=\d)"), "minus"),
    (re.compile(rf"(?<={_LEFT})([ \u00a0]?÷[ \u00a0]?)(?={_RIGHT})"), "divided"),
    (re.compile(r"(?<=[\d)])([ \u00a0]/[ \u00a0]|/(?=\d[\d.,]{0,12} ?=))(?=[\d(])"), "divided"),
    (re.compile(rf"(?<={_LEFT})([ \u00a0]?(?:<=|≤|=<)[ \u00a0]?)(?={_RIGHT})"), "at_most"),
    (re.compile(rf"(?<={_LEFT})([ \u00a0]?(?:>=|≥)[ \u00a0]?)(?={_RIGHT})"), "at_least"),
    (re.compile(rf"(?<={_LEFT})([ \u00a0]?(?:!=|≠|<>)[ \u00a0]?)(?={_RIGHT})"), "unequal"),
    (re.compile(r"(?<=\w)([ \u00a0]?(?:->|=>|→|⇒|➔|➜|➡️?)[ \u00a0]?)(?=\w)"), "arrow"),
    (re.compile(rf"(?<={_LEFT})([ \u00a0]<[ \u00a0]|(?<=\d)<(?=\d))(?={_RIGHT})"), "less"),
    (re.compile(rf"(?<={_LEFT})([ \u00a0]>[ \u00a0]|(?<=\d)>(?=\d))(?={_RIGHT})"), "greater"),
    (re.compile(rf"(?<={_LEFT})([ \u00a0]?={{1,3}}[ \u00a0]?)(?={_RIGHT})"), "equals"),
    (re.compile(rf"(?<={_LEFT})([ \u00a0]?≈[ \u00a0]?)(?={_RIGHT})"), "is_about"),
    (re.compile(r"(?<=\d)([ \u00a0]-[ \u00a0])(?=-\d)"), "minus"),
    (re.compile(r"(?<=\d)([ \u00a0]?[-–—][ \u00a0]?)(?=%\d)"), "to"),
    (re.compile(r"(?<=[\dCF°%])([ \u00a0]?[–—][ \u00a0]?)(?=[-−]\d)"), "to"),
    (re.compile(r"(?<=\b[a-z])([ \u00a0]?<[ \u00a0]?)(?=\d)"), "less"),
    (re.compile(r"(?<=\b[a-z])([ \u00a0]?>[ \u00a0]?)(?=\d)"), "greater"),
    (re.compile(r"(?<=noon)([ \u00a0]?[-–][ \u00a0]?)(?=\d)|(?<=midnight)([ \u00a0]?[-–][ \u00a0]?)(?=\d)"), "to"),
    (re.compile(rf"(?<={_LEFT})([ \u00a0]?±[ \u00a0]?)(?={_RIGHT})"), "plus_minus"),
    (re.compile(rf"(?<={_LEFT})([ \u00a0]?[−⁻][ \u00a0]?)(?={_RIGHT})"), "minus"),
    (re.compile(rf"(?<={_LEFT})([ \u00a0]\+[ \u00a0]|(?<=[\d)²³])\+(?=[\w(]))(?={_RIGHT})"), "plus"),
]
_BEFORE: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"(?<![^\s(\[\"'“„«=<>*/^×÷:])([-−–][ \u00a0]?)(?=[$€£¥₹]?[.,]?\d|[√π(])"), "minus"),
    (re.compile(r"(?<=[=(] )([-−])(?=[a-z]\b)|(?<=[=(])([-−])(?=[a-z]\b)"), "minus"),
    (re.compile(r"(?<![^\s(\[\"'“„«])(\+[ \u00a0]?)(?=[$€£¥₹]?\d)"), "plus"),
    (re.compile(r"(?<![^\s(\[\"'“„«])(±[ \u00a0]?)(?=\d)"), "plus_minus"),
    (re.compile(r"(?<![^\s(\[\"'“„«])((?:<=|≤)[ \u00a0]?)(?=[$€£-]?\d)"), "no_more"),
    (re.compile(r"(?<![^\s(\[\"'“„«])((?:>=|≥)[ \u00a0]?)(?=[$€£-]?\d)"), "no_less"),
    (re.compile(r"(?<![^\s(\[\"'“„«])(<[ \u00a0]?)(?=[$€£-]?\d)"), "less_than"),
    (re.compile(r"(?<![^\s(\[\"'“„«])(>[ \u00a0]?)(?=[$€£-]?\d)"), "more_than"),
    (re.compile(r"(?<![^\s(\[\"'“„«])([~≈∼][ \u00a0]?)(?=[$€£]?\d)"), "about"),
    (re.compile(r"(√[ \u00a0]?)(?=[\w(])"), "square_root"),
    (re.compile(r"(?<![\w&])(#|№[ \u00a0]?)(?=\d)"), "number"),
    (re.compile(r"(?<![\w])(§§[ \u00a0]?)(?=\d)"), "sections"),
    (re.compile(r"(?<![\w])(§[ \u00a0]?)(?=\d)"), "section"),
    (re.compile(r"(?<=[\w)])(²)"), "squared"),
    (re.compile(r"(?<=[\w)])(³)"), "cubed"),
    (re.compile(r"(?<=[\d+])([ \u00a0]?‰)"), "permille"),
    (re.compile(r"(?<![\w])(∞)(?!\w)"), "infinity"),
    (re.compile(r"(?<![^\s])(&)(?![^\s])|(?<=\w)(&)(?=\w)"), "and"),
    (re.compile(r"(?<![^\s])(&&)(?![^\s])"), "and"),
    (re.compile(r"(?<![^\s])(\|\|)(?![^\s])"), "or"),
    (re.compile(r"(?<=(?<![\w-])[A-F])(\+)(?![\w+])"), "plus"),
    (re.compile(r"(?<![^\s])(@)(?=\s|[^\W\d])"), "at"),
    (re.compile(r"(?<![^\s(\"“„«])(#)(?=[\s.,;:!?)\"”“»'’]|\Z)"), "hash_key"),
    (re.compile(r"(?<![^\s(])(#)(?!(?=\d*[A-F])[0-9A-F]{6}(?!\w))(?=[A-Z]{0,3}-?\d{2,8}(?!\w))"), "number"),
    (re.compile(r"(?<![^\s(])(#)(?=[^\W\d_])"), "hashtag"),
    (re.compile(r"(?<=\d)(?<![.,]\d)(?<![.,]\d\d)(:)(?=\d{1,4}(?!\w|[.,]\d))"), "ratio"),
    (re.compile(r"(?<![^\s])(\+)(?![^\s])"), "plus"),
    (re.compile(r"(?<![^\s])(={1,3})(?![^\s])"), "equals"),
    (re.compile(r"(?<=\d)(\+)(?![\w+])"), "plus"),
    (re.compile(r"(?<=\d)([ \u00a0]?[★⭐]\ufe0f?)"), "stars"),
    (re.compile(r"(?<=\d[MKkB%])(\+)(?![\w+])"), "plus"),
    (re.compile(r"(?<=\w)(@)(?=[\w$])"), "at"),
]
_DASH = re.compile(
    r"(?P<left>[\d$€£%°½⅓⅔¼¾]|(?<=\d)[\"″′]|(?<=\d)[A-Za-z°]{1,4}|(?<=°)[CF]"
    r"|(?<=\d[ \u00a0])[A-Za-zµ]{1,3}(?=[ \u00a0]?[-–—][ \u00a0]?\d)"
    r"|[^\W\d_](?= ?[-–—] ?[$€£]\d)|[. \u00a0]m[.]|\b[ap]m|[AP]M)"
    r"(?P<dash>(?P<s1>[ \u00a0]?)(?P<sign>[-–—])(?P<s2>[ \u00a0]?))(?P<right>[$€£]?[\d½⅓⅔¼¾])"
)
_IN_CODE = re.compile(r"\d[A-Z]?\d[A-Z]{1,4}\Z|[A-Z]{2,}\d+\Z")
_DOOR = re.compile(r"(?<![\w.,])\d{1,3}[A-Z]\Z")
_DOOR_BEHIND = re.compile(r"-\d{2,4}(?![\w-]|[.,]\d|[ \u00a0]?[A-Z%°€$])")
"""`3B-204`, of which neither part is a quantity."""
_CLOCK = re.compile(r"\d{1,2}:[0-5]\d(?!\d)")
_LONG_CODE = re.compile(r"(?<!\w)[A-Z]\d+\Z")
_SUM_BEHIND = re.compile(r"[$€£]?\d[\d.,]{0,20}[)%]?[ \u00a0]?(?:={1,3}|[+*×÷^](?=[ \u00a0]?\d)|[-−] \d)")
_RANGE_BEGINS = re.compile(r"[$€£]?\d[\d.,:]{0,12}[ \u00a0]?(?:[ap]\.?m\.?|[%°]?[^\W\d_]{0,3})$")
_SUM_AHEAD = re.compile(r"[=+*×÷^(][ \u00a0]?[\d.,]{1,20}$")
_COUNTED_OUT = re.compile(
    r"\d[\d.,]{0,8}[ \u00a0]?(?:m[lLg]|[cd]?[lL]|k?g|oz|lbs?|[km]?W|V|m?Ah?|[kKMGT]B|min|s|h|%|€|£|\$|EUR|USD|TL)"
    r"(?![\w/²³])|[$€£]\d|R\$"
)
"""What is no length: so many of it, not a width and a height."""
_PER = re.compile(r"(?<=[\d$€£%])(/)(?=[^\W\d_]{2,})")
_WORDS = re.compile(r"(?<=[^\W\d_])(/)(?=[^\W\d_])")
_DIGITS = re.compile(r"(?<=\d)(/)(?=\d)")
_UNDERSCORE = re.compile(r"(?<=[^\W_])(?<!\d)(_+)(?=[^\W_])|(?<=\d)(_+)(?=[^\W\d_])")
_INITIALS = re.compile(r"(?<![\w/])[A-Z]{1,4}(/)[A-Z]{1,4}(?![\w/])")
_RAISED = re.compile(r"(?<=[\w)])(⁻?)([⁰¹²³⁴-⁹]{1,6})(?![⁰¹²³⁴-⁹])")
_ANY = re.compile(r"[^\w\s.,;!?'’\"“”()]|[\d_²³¹⁰⁴-⁹]|\w\.\w")
_RATIO = re.compile(r"(?<![\w:.,/-])(?P<first>\d{1,4})(?P<sign>:)(?P<last>\d{1,5})(?![\w:]|[.,]\d)")
_STANDARD = re.compile(r"(?<!\w)(?:ISO|IEC|EN|DIN)[ /-](?:[A-Z]{2,4}[ /-])?\Z")
"""What stands before the number of a standard: `ISO 9001:2015`."""
_OF_YEAR = re.compile(r"(?<!\w)(?:[QHT][1-4]|KW \d{1,2})\Z")
"""What is one of a year's parts: `Q3/2024`."""
_SCORE_APART = re.compile(
    r"(?<![\w:.,/-])(?P<first>\d{1,3})(?P<sign>[ \u00a0]:[ \u00a0])(?P<last>\d{1,5})(?![\w:]|[.,]\d| ?=)"
)
_PATH = re.compile(
    r"(?<![\w/.:<])(?:~|\.{1,2})?/(?:[\w.-]{1,60}/){1,12}[\w.-]{0,60}\w|(?<![\w/.:<])[a-z][\w-]{1,40}/(?:[\w.-]{1,60}/){0,8}[\w-]{1,60}\.[a-z]{1,5}(?![\w/])"
)
_FILE = re.compile(
    r"(?<![\w/@.])[A-Za-z0-9_-]{1,60}(?:\.(?:tar|min|test|spec|d))?\.(?:py|gz|tgz|bz2|7z|rar|dmg|apk|iso|deb|rpm|whl|js|ts|txt|pdf|docx?|xlsx?|csv|json|zip|html?|jpe?g|png|gif|svg|mp[34]|wav|toml|ya?ml|md|exe|log|ini|sh|sql|xml|pptx?)(?![\w@/]|\.\w)"
)
_FOLDER = re.compile(r"(?<!\w)(?:[A-Za-z]:|\\)\\(?:[\w.$-]{1,60}\\){0,12}[\w.$-]{0,60}")
"""A path of Windows."""
_APART = re.compile(
    r"(?<=°[CF])/(?=[-−]?\d)"
    r"|(?<=[\w.%)°])[ \u00a0]/[ \u00a0](?=[^\W\d_]|[-−]?\d+[ \u00a0]?[°%$€£A-Za-z])"
)
_HASH_KEY = re.compile(r"(?<=\w[ \u00a0])(?P<key>#\ufe0f?\u20e3?)(?=[\s.,;:!?)]|\Z)(?! of\b)")
_STAR_KEY = re.compile(r"(?P<cue>[^\W\d_]{3,20})[ \u00a0](?P<star>\*)(?=\d{1,4}(?![\d*])|[\s.,;:!?)]|\Z)")
MOST_POINTS = 15
"""Points of a score that are taken for one without a word about a match."""
LAST_HOUR = 24
_RADIO = frozenset((("10", "4"), ("10", "7"), ("10", "8"), ("10", "9")))
"""What is said over the radio in America."""
_QUANTIFIERS = {"less": "less_than", "greater": "more_than", "at_most": "no_more", "at_least": "no_less"}
"""Signs between two things that are compared, and what they are before an amount: `takes < 5 minutes`."""
_AMOUNT_AHEAD = re.compile(r"[$€£-]?\d")
_LAST_WORD = re.compile(r"[^\W\d_]{2,}$")
_QUANTITY = re.compile(r"\w|[.,:/]\d|-\w|[ \u00a0]?[%$€£°]")
_LEFT_OVER = re.compile(r"[*^_|~`<>\\→⇒•]+")


def signs(edits: Edits, language: Language) -> None:
    """Say signs in words."""
    if not _ANY.search(edits.text):
        return
    _ratios(edits, language)
    _paths(edits, language)
    _pauses(edits, language)
    _dashes(edits, language)
    for m in _RAISED.finditer(edits.text):
        if m[0] not in ("²", "³"):
            minus = f"{language.word('minus')} " if m[1] else ""
            edits.match(m, f" {language.word('power')} {minus}{unicodedata.normalize('NFKC', m[2])}")
    for m in _STAR_KEY.finditer(edits.text):
        if m["cue"].lower() in language.listed("key_cues") | language.listed("telephone_cues"):
            edits.match(m, f" {language.word('star_key')}", "star")
    for m in _HASH_KEY.finditer(edits.text):
        edits.match(m, language.word("hash_key"))
    for pattern, name in (*_BETWEEN, *_BEFORE):
        for m in pattern.finditer(edits.text):
            group = m.lastindex or 0
            start, end = m.span(group)
            if edits.free(start, end):
                edits.put(start, end, _sign_said(edits.text, start, end, name, language))
    for m in _INITIALS.finditer(edits.text):
        edits.match(m, " ", 1)
    for pattern, name in ((_PER, "per"), (_WORDS, "or"), (_DIGITS, "slash"), (_UNDERSCORE, "")):
        for m in pattern.finditer(edits.text):
            if pattern is _DIGITS and (
                _is_season(edits.text, m.start())
                or _is_whole(edits.text, m.start())
                or _OF_YEAR.search(edits.text, max(0, m.start() - 5), m.start())
            ):
                edits.match(m, " ")
            edits.match(m, f" {language.word(name)} " if name else " ", m.lastindex or 0)
    for m in _LEFT_OVER.finditer(edits.text):
        edits.match(m, " ")


def _sign_said(text: str, start: int, end: int, name: str, language: Language) -> str:
    """What is said for a sign that was found, by its name."""
    if name == "by" and _COUNTED_OUT.match(text, end):
        name = "times"
    word = _LAST_WORD.search(text[max(0, start - 20) : start])
    if name in _QUANTIFIERS and word and _AMOUNT_AHEAD.match(text, end):
        tight = text[start].isspace() and not text[end - 1].isspace()
        if tight or word[0].lower() in language.listed("before_amounts"):
            name = _QUANTIFIERS[name]
    if name in ("count", "arrow"):
        return " " if name == "count" else ", "
    return language.word(name) if name == "hash_key" else f" {language.word(name)} "


def _paths(edits: Edits, language: Language) -> None:
    """Say the slashes of a file's path; one between words with spaces is a pause."""
    for m in _PATH.finditer(edits.text):
        if edits.free(*m.span()):
            parts = [p for p in re.split(r"[/]", m[0]) if p not in ("", "~", ".", "..")]
            slash = language.word("slash")
            first = f"{slash} " if m[0][0] == "/" else ""
            edits.put(m.start(), m.end(), first + f" {slash} ".join(_dotted(p, language) for p in parts))
    for m in _FOLDER.finditer(edits.text):
        parts = [_dotted(p, language) for p in m[0].rstrip(".").replace(":", "").split("\\") if p]
        edits.match(m, f" {language.word('backslash')} ".join(parts) + "." * m[0].endswith("."))
    for m in _FILE.finditer(edits.text):
        edits.match(m, _dotted(m[0], language))
    for m in _APART.finditer(edits.text):
        edits.match(m, ", ")


def _dotted(name: str, language: Language) -> str:
    return " ".join(re.sub(r"[._]+", lambda m: f" {language.word('dot')} " if "." in m[0] else " ", name).split())


def _ratios(edits: Edits, language: Language) -> None:
    """Say `2:1` as a score where the text tells of one, else in Turkish with the ending that a ratio has."""
    for m in _SCORE_APART.finditer(edits.text):
        if _is_told(edits.text, m.start(), m.end(), language):
            edits.match(m, f" {language.word('score')} ", "sign")
        elif _last_word(edits.text, m.start()) in language.listed("ratio_cues"):
            _put_ratio(edits, m, language)
    for m in _RATIO.finditer(edits.text):
        if _STANDARD.search(edits.text[max(0, m.start() - 12) : m.start()]):
            edits.match(m, " ", "sign")
        elif _is_told(edits.text, m.start(), m.end(), language):
            edits.match(m, f" {language.word('score')} ", "sign")
        elif language.code == "tr" and m.end() < len(edits.text) and edits.text[m.end()] in "'’":
            edits.match(m, " ", "sign")
        elif language.code == "tr":
            edits.match(m, f"{dative(int(m['first']))} {m['last']}")


def _put_ratio(edits: Edits, m: re.Match[str], language: Language) -> None:
    if language.code == "tr":
        edits.match(m, f"{dative(int(m['first']))} {m['last']}")
    else:
        edits.match(m, f" {language.word('ratio')} ", "sign")


def _last_word(text: str, at: int) -> str:
    """The word before a place, in small letters; a word such as *of* between them does not count."""
    words = re.findall(r"[^\W\d_]+", text[max(0, at - 30) : at].lower())
    return "" if not words else words[-2] if len(words) > 1 and len(words[-1]) < 4 else words[-1]


def _is_told(text: str, start: int, end: int, language: Language) -> bool:
    """Whether the words near by are about a match."""
    near = re.findall(r"[^\W\d_]+", f"{text[max(0, start - 40) : start]} {text[end : end + 25]}".lower())
    return not language.listed("score_cues").isdisjoint(near)


def _is_score(text: str, m: re.Match[str], first: str, last: str, language: Language) -> bool:
    """Whether a dash stands between two teams' points: `2-1`."""
    start, end = m.start("dash") - len(first), m.start("right") + len(last)
    plain = text[max(0, start) : m.start("dash")] == first and text[m.start("right") : end] == last
    if not plain or m["s1"] or m["s2"] or max(int(first), int(last)) > MOST_POINTS:
        return False
    if re.match(r"\w|[.,:/]\d|[ \u00a0]?[%$€£°]", text[end : end + 3]) or re.search(
        r"[\w.,:/$€£-]$", text[max(0, start - 1) : max(0, start)]
    ):
        return False
    if _is_told(text, start, end, language):
        return True
    behind = re.match(r"[ \u00a0]([^\W\d_]+)", text[end : end + 24])
    days = [d.lower() for d in (*language.weekdays, *language.words("weekday_abbreviations"))]
    before = re.findall(r"[^\W\d_]+", text[max(0, start - 24) : start].lower())
    hours = behind and (behind[1] in language.listed("hour_words") or behind[1] in language.units)
    ranged = set(before) & (set(days) | language.listed("range_cues") | language.listed("numbered"))
    return int(first) >= int(last) and not hours and not ranged


def _is_whole(text: str, at: int) -> bool:
    """Whether a slash stands between the parts of a hundred: `80/20`."""
    m = re.search(r"(?<!\d)(\d\d)/(\d\d)(?!\d)", text[max(0, at - 3) : at + 4])
    return m is not None and int(m[1]) + int(m[2]) == 100


def _is_season(text: str, at: int) -> bool:
    """Whether a slash stands in a year and the next: `2024/25`."""
    short = re.match(r"(?<!\d)(?P<first>\d\d)/(?P<next>\d\d)(?!\d)", text[max(0, at - 2) : at + 4])
    if short and 12 < int(short["first"]) == int(short["next"]) - 1:
        return True  # "24/25"
    m = re.match(r"(?<!\d)(?P<first>[12]\d(?P<end>\d\d))/(?P<next>\d\d)(?!\d)", text[max(0, at - 4) : at + 4])
    return m is not None and int(m["next"]) == (int(m["end"]) + 1) % 100


_APART_DASH = re.compile(
    r"(?P<word>[^\W\d_]{2,30}|[)\"”»’])(?P<dash>[ \u00a0][-–—][ \u00a0])(?=[$€£¥₹₺]?[ ]?[.,]?\d|R\$|US\$)"
)
_NAMED_DASH = re.compile(
    r"(?<!\w)(?P<word>[^\W\d_a-zà-ÿ][^\W\d_]{2,20})[ \u00a0](?:[A-Z]|\d{1,2})(?P<dash>[ \u00a0][-–—][ \u00a0])"
    r"(?=[$€£¥₹₺]|R\$|US\$|[\d.,]+[ \u00a0]?(?:€|TL|EUR))"
)
"""`Plan A – $5`, `Option 2 – 20 €`."""
_COUNTED_WORD = re.compile(r"\d[ \u00a0]?[^\W\d_]{1,30}$")


def _pauses(edits: Edits, language: Language) -> None:
    """Say a dash between a word and a number as a pause, as in `Basic – $9`; `2 hours - 3 hours` is a range."""
    for m in _APART_DASH.finditer(edits.text):
        before = edits.text[max(0, m.start("dash") - 40) : m.start("dash")]
        if m["word"].lower() in ("noon", "midnight") or "=" in before:
            continue
        counted = _COUNTED_WORD.search(before)
        edits.match(m, f" {language.word('to')} " if counted else ", ", "dash")
    for m in _NAMED_DASH.finditer(edits.text):
        if m["word"].lower() not in language.listed("range_cues"):
            edits.match(m, ", ", "dash")


def _dashes(edits: Edits, language: Language) -> None:
    """Say a dash between numbers: from the one to the other, or less."""
    text = edits.text
    for m in _DASH.finditer(text):
        start, end = m.span("dash")
        if not edits.free(start, end) or (m["sign"] == "-" and _IN_CODE.search(text, max(0, start - 24), start)):
            continue
        if _DOOR.search(text, max(0, start - 6), start) and _DOOR_BEHIND.match(text, start):
            continue
        ahead = re.search(r"[\d.,$€£]{1,20}$", text[max(0, start - 24) : start])
        first = re.sub(r"\D", "", ahead[0]) if ahead else ""
        behind = re.match(r"[$€£]?(\d{1,9})", text[m.start("right") : m.start("right") + 12])
        last = behind[1] if behind else ""
        minus = _SUM_BEHIND.match(text, m.start("right")) or _SUM_AHEAD.search(text[max(0, start - 24) : start])
        if not minus and m["sign"] == "-" and m["s1"] and m["s2"] and first and last and len(first) <= 9:
            years = len(first) == len(last) == 4
            clock = re.search(r"[:h]\d\d$|[ap]\.?m\.?$", text[max(0, start - 5) : start], re.IGNORECASE)
            cue = any(w in language.listed("range_cues") for w in text[max(0, start - 30) : start].lower().split())
            minus = None if years or clock or cue or int(first) < int(last) else _SUM_AHEAD.search("=0")
        if minus and m["sign"] != "-" and not m["s1"] and "=" not in text[max(0, start - 24) : end + 24]:
            minus = None  # "8–12 + 14–18"
        if m["s1"] and not m["s2"] and m["sign"] == "-":
            minus = _SUM_AHEAD.search("=0") if minus else None
            if not minus:
                continue  # a sign of the number behind it
        if m["s1"] and m["s2"] and first.isdigit() and int(first) > 24 and _CLOCK.match(text, m.start("right")):
            edits.put(start, end, ", ")  # "UA 123 – 8:15 AM"
            continue
        if len(last) > 3 and not m["s1"] and _LONG_CODE.search(text[max(0, start - 12) : start]):
            continue  # "A12-34567"
        if not minus and first and last and _is_side_by_side(text, m, first, last, language):
            edits.put(start, end, " ")
            continue
        score = not minus and first and last and _is_score(text, m, first, last, language)
        name = "minus" if minus else "score" if score else "to"
        began = _RANGE_BEGINS.search(text[max(0, start - 24) : start])
        at = max(0, start - 24) + began.start() if began else start
        said = range_word(text, at, language) if name == "to" else language.word(name)
        edits.put(start, end, f" {said} ")


def _is_side_by_side(text: str, m: re.Match[str], first: str, last: str, language: Language) -> bool:
    """Whether two numbers with a hyphen are no range, but name something: `747-400`, `A320-200`, `60-40`, `10-4`."""
    start, end = m.start("dash") - len(first), m.start("right") + len(last)
    tight = m["sign"] == "-" and not (m["s1"] or m["s2"]) and text[start : m.start("dash")] == first
    behind = text[end : end + 30]
    if not tight or text[m.start("right") : end] != last or _QUANTITY.match(behind):
        return False
    before = text[max(0, start - 1) : start]
    if before.isalpha():
        return before.isupper() and len(first) > 2 and not re.search(r"\w\w$", text[max(0, start - 2) : start])
    if re.match(r"[\w.,:/$€£%-]", before) or len(first) > 3:
        return False
    if re.fullmatch(r"7\d7", first) and re.fullmatch(r"\d00", last):
        return True  # an aeroplane
    if int(first) <= int(last):
        return False
    words = set(re.findall(r"[^\W\d_]+", text[max(0, start - 24) : start].lower()))
    words |= {w.removesuffix("s") for w in words}
    if _is_told(text, start, end, language) or words & language.listed("numbered"):
        return False
    if int(first) > LAST_HOUR:
        unit = re.match(r"[ \u00a0]([^\W\d_]+)", behind)
        return unit is None or unit[1] not in language.units
    if language.code != "en" or (first, last) not in _RADIO or re.match(r"[ \u00a0]?(?:[ap]\.?m|h|on |daily)", behind):
        return False
    days = {d.lower() for d in (*language.weekdays, *language.words("weekday_abbreviations"))}
    return not words & (days | language.listed("range_cues"))

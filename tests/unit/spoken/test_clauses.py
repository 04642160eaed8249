from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_server.spoken import Unsaid, speakable
from media_server.spoken.clauses import ClauseCutter, clauses_of


def cut(text: str, size: int = 3) -> list[str]:
    cutter = ClauseCutter()
    clauses: list[str] = []
    for i in range(0, len(text), size):
        clauses += cutter.push(text[i : i + size])
    return clauses + cutter.flush()


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Hello! How can I help you?", ["Hello!", "How can I help you?"]),
        ("Seven plus five is twelve.", ["Seven plus five is twelve."]),
        ("Okay, the light is on.", ["Okay, the light is on."]),
        ("Of course, I am connecting you to sales.", ["Of course,", "I am connecting you to sales."]),
        ("It costs 3.50, or 1,000 for all.", ["It costs 3.50,", "or 1,000 for all."]),
        ("One\nTwo", ["One", "Two"]),
        ("Wait... what?! Yes.", ["Wait...", "what?!", "Yes."]),
        ("   ", []),
        ("", []),
        ("no end", ["no end"]),
    ],
)
def test_text_is_cut_where_one_would_breathe(text: str, clauses: list[str]) -> None:
    assert cut(text) == clauses


def test_later_clauses_are_longer_than_the_first() -> None:
    text = "I can do sums, switch lights, set timers, take an order, and connect you to sales, support or billing."
    first, second, *_ = cut(text)
    assert first == "I can do sums,"
    assert len(second) > 40


def test_a_sentence_is_given_as_soon_as_the_next_begins() -> None:
    cutter = ClauseCutter()
    assert cutter.push("Hello there.") == []
    assert cutter.push(" ") == ["Hello there."]


def test_text_without_any_end_is_cut_all_the_same() -> None:
    clauses = cut("word " * 200)
    assert max(map(len, clauses)) <= 200
    assert sum(c.count("word") for c in clauses) == 200


def test_an_end_far_away_is_not_waited_for() -> None:
    cutter = ClauseCutter()
    at_once = cutter.push("word " * 200 + "end. ")
    assert max(map(len, at_once)) <= 2 * 200
    assert " ".join(at_once) == ("word " * 200 + "end.")


@given(st.text(alphabet="ab ,.!?\n;:3", max_size=500), st.integers(1, 20))
def test_nothing_is_lost_whatever_the_pieces(text: str, size: int) -> None:
    assert "".join("".join(cut(text, size)).split()) == "".join(text.split())


@given(st.text(alphabet="ab ,.!?\n", max_size=300))
def test_the_pieces_do_not_change_the_clauses(text: str) -> None:
    assert cut(text, 1) == cut(text, 7)


def test_an_abbreviation_ends_no_sentence() -> None:
    cutter = ClauseCutter()
    assert cutter.push("Dr. Smith vs. Mr. Jones won. Then") == ["Dr. Smith vs. Mr. Jones won."]
    assert ClauseCutter().push("1. First one. 2") == ["1. First one."]


@pytest.mark.parametrize(
    ("text", "hurried"),
    [
        ("Sorry did", []),
        ("Sorry did you mean", ["Sorry did you"]),
        ("Sorry did you mean the swi", ["Sorry did you mean"]),
        ("the class with the ", ["the class with"]),
        ("これはとても長い", ["これはとても長"]),
    ],
)
def test_what_there_is_up_to_a_words_end(text: str, hurried: list[str]) -> None:
    cutter = ClauseCutter()
    assert cutter.push(text) == []
    assert cutter.hurry() == hurried
    assert "".join("".join(hurried + cutter.flush()).split()) == "".join(text.split())


def test_text_without_a_mark_is_cut_before_a_phrase() -> None:
    text = "the swimming class is held every Monday evening " * 3 + "because " + "nobody has any time this week " * 3
    assert clauses_of(text)[1].startswith("because")


@given(st.text(alphabet="ab ,.!?\n;:3", max_size=500))
def test_a_clause_is_not_cut_again(text: str) -> None:
    clauses = cut(text, 1)
    assert [c for i, clause in enumerate(clauses) for c in clauses_of(clause, first=i == 0)] == clauses


@given(
    st.text(alphabet='ab AB ,.!?\n;:3()[]-–*#`|"1U', max_size=400),
    st.sampled_from(["en", "de", "sv"]),
    st.lists(st.integers(1, 30), min_size=1, max_size=8),
)
def test_any_split_of_a_text_gives_the_same_clauses(text: str, voice: str, sizes: list[int]) -> None:
    cutter, pieces, at, i = ClauseCutter(voice), [], 0, 0
    while at < len(text):
        pieces += cutter.push(text[at : at + sizes[i % len(sizes)]])
        at += sizes[i % len(sizes)]
        i += 1
    assert [*pieces, *cutter.flush()] == clauses_of(text, voice)


@given(st.integers(1, 7))
def test_what_is_written_like_a_reply_is_cut_alike_however_it_comes(size: int) -> None:
    text = (
        "Mr. J. R. Smith of the U.S. (e.g. Acme Inc. or so) pays $5 at 9 a.m. on May 3, 2024. Fine!\n\n"
        "1. Open the [page, please](https://example.com/a).\n2. Press start.\n- 5 degrees\n- two\n"
        "```python\nprint('a. b')\n```\n| a | b |\n|---|---|\n\nOpen 9 – 5 daily, as always. " + "word " * 90
    )
    whole = clauses_of(text)
    cutter = ClauseCutter()
    pieces = [c for i in range(0, len(text), size) for c in cutter.push(text[i : i + size])]
    assert pieces + cutter.flush() == whole


@pytest.mark.parametrize(
    ("voice", "text", "clauses"),
    [
        ("en", "J. R. R. Tolkien wrote it. Yes.", ["J. R. R. Tolkien wrote it.", "Yes."]),
        ("en", "John F. Kennedy spoke.", ["John F. Kennedy spoke."]),
        ("en", "It is the U.S. economy.", ["It is the U.S. economy."]),
        ("en", "It is in the U.S. We go.", ["It is in the U.S.", "We go."]),
        ("en", "At 3:30 p.m. on Monday. Bye.", ["At 3:30 p.m. on Monday.", "Bye."]),
        ("en", "We open at 9 a.m. Come early.", ["We open at 9 a.m.", "Come early."]),
        ("en", "It is No. 5. No. It is not.", ["It is No. 5.", "No.", "It is not."]),
        ("en", "Jan. 5 and Feb. 6 it is.", ["Jan. 5 and Feb. 6 it is."]),
        ("en", "Elm Ave. near Acme Inc. in the U.S. today.", ["Elm Ave. near Acme Inc. in the U.S. today."]),
        ("en", '"Dr. Smith" (e.g. this one) or **Mr. Jones** it is.', None),
        ("en", "The shop is open 9 – 5 daily.", ["The shop is open 9 – 5 daily."]),
        ("en", "12. Anything else?", ["12.", "Anything else?"]),
        ("en", "How many? 12. That is all.", ["How many?", "12.", "That is all."]),
        ("en", "Steps:\n1. Open it.\n2. Press it.\nDone.", ["Steps:", "Open it.", "Press it.", "Done."]),
        ("en", "1. Open it.\n2. Press it.", ["1. Open it.", "2. Press it."]),
        ("en", "See:\n- one, two\n- three\n# Head\nEnd", ["See:", "one, two", "three", "Head", "End"]),
        ("en", "It is\n- 5 degrees", ["It is", "- 5 degrees"]),
        ("en", "We met (it was late, very late) in the park, yes.", None),
        ("en", "See [our help page, please](https://example.com/a), or call.", None),
        ("en", "Look:\n```\na. b\n\nc, d\n```\nDone.", ["Look:", "```", "a. b\n\nc, d\n```", "Done."]),
        ("en", "On September 5, 2024 it was.", ["On September 5, 2024 it was."]),
        ("de-de", "Wir sehen uns am 3. Mai um 15 Uhr. Gut.", ["Wir sehen uns am 3. Mai um 15 Uhr.", "Gut."]),
        ("de-de", "Es sind 12. Noch etwas?", ["Es sind 12.", "Noch etwas?"]),
        ("de-de", "Es ist z. B. der 2. Weltkrieg.", ["Es ist z. B. der 2. Weltkrieg."]),
        (
            "de-de",
            "Es sind 5 Min. Fahrt. Danach 5 Min. Dann da.",
            ["Es sind 5 Min. Fahrt.", "Danach 5 Min.", "Dann da."],
        ),
        ("de-de", "Am 3.4. um 15 Uhr. Gut.", ["Am 3.4. um 15 Uhr.", "Gut."]),
        ("de-de", "Das sind 5 Mio. Euro. Gut.", ["Das sind 5 Mio. Euro.", "Gut."]),
        ("de-de", "100 v. Chr. und 5 n. Chr. war es.", ["100 v. Chr. und 5 n. Chr. war es."]),
        ("de-de", "Dipl.-Ing. Huber kommt. Ja.", ["Dipl.-Ing. Huber kommt.", "Ja."]),
        ("en", "I live in Washington, D.C. It is nice.", ["I live in Washington, D.C.", "It is nice."]),
        ("en", "I met Martin Luther King, Jr. in Selma, AL in May.", None),
        ("en", "He works for Acme Co. Ltd. in town.", ["He works for Acme Co. Ltd. in town."]),
        ("en", "No. I do not. No. 5 is mine.", ["No.", "I do not.", "No. 5 is mine."]),
        ("es", "EE. UU. es grande. Sí.", ["EE. UU. es grande.", "Sí."]),
        ("es", "A las 5 p. m. salimos. Sí.", ["A las 5 p. m. salimos.", "Sí."]),
        ("fr", "C'est en 50 av. J.-C. et non ap. J.-C. qu'il vint.", None),
        ("fr", "J.-P. Sartre l'a écrit. Oui.", ["J.-P. Sartre l'a écrit.", "Oui."]),
        ("pt", "Isto, p. ex. aquilo. Sim.", ["Isto, p. ex. aquilo.", "Sim."]),
        ("tr", "II. Mehmet geldi. Evet.", ["II. Mehmet geldi.", "Evet."]),
        ("tr", "Atatürk Cad. No: 5 burada.", ["Atatürk Cad. No: 5 burada."]),
        ("en", "(This is a note.) Next one.", ["(This is a note.)", "Next one."]),
        ("en", "It works (really?) quite well.", ["It works (really?) quite well."]),
        ("en", "See figs. 3 and 4. Yes.", ["See figs. 3 and 4.", "Yes."]),
        ("de", "„Halt!“ rief er. Ja.", ["„Halt!“ rief er.", "Ja."]),
        ("fr", "Mme. Roy arrive. Oui.", ["Mme. Roy arrive.", "Oui."]),
        ("fr", "C.-à-d. demain.", ["C.-à-d. demain."]),
        ("it", "È l'avv. Bianchi. Sì.", ["È l'avv. Bianchi.", "Sì."]),
        ("pt", "R. Silva vem. Sim.", ["R. Silva vem.", "Sim."]),
        ("tr", "Elma, armut vb. Hepsi var.", ["Elma, armut vb.", "Hepsi var."]),
        ("hi", "मैं ठीक हूँ। धन्यवाद।", ["मैं ठीक हूँ।", "धन्यवाद।"]),
        ("zh", "你好。今天天气很好！", ["你好。", "今天天气很好！"]),
        ("ar", "كيف حالك؟ أنا بخير.", ["كيف حالك؟", "أنا بخير."]),
    ],
)
def test_a_full_stop_is_not_always_an_end(voice: str, text: str, clauses: list[str] | None) -> None:
    found = clauses_of(text, voice)
    if clauses is None:
        assert not any(
            c.endswith(("Mr.", "Dr.", "late", "page,", "e.g.", "late,", "King,", "Selma,", "av.", "ap.")) for c in found
        )
        assert " ".join(found) == text
    else:
        assert found == clauses


CODE = "Look:\n```py\na. b\n\nc, d\n```\nDone.\n| a | b |\n|---|---|\n| 1 | 2 |\nEnd.\n~~~\n~~~\n```js\nx = 1"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 30, 200])
def test_of_code_and_tables_only_the_announcement_is_said(size: int) -> None:
    cutter = ClauseCutter()
    clauses = [c for i in range(0, len(CODE), size) for c in cutter.push(CODE[i : i + size])] + cutter.flush()
    assert clauses == clauses_of(CODE)
    said = ["Look:", "```py", "Done.", "| a | b |\n|---|---|", "End.", "~~~", "```js"]
    assert [c for c in clauses if not isinstance(c, Unsaid)] == said
    assert [c for c in clauses if isinstance(c, Unsaid)] == ["a. b\n\nc, d\n```", "| 1 | 2 |", "~~~", "x = 1"]
    spoken = " ".join(s for c in clauses for _, s in speakable(c) if s)
    assert spoken == "Look: a piece of code Done. a table End. a piece of code a piece of code"
    # cut again, an announcement is one still
    assert [again for c in said for again in clauses_of(c)] == said


def test_code_and_tables_are_announced_before_they_are_written() -> None:
    cutter = ClauseCutter()
    assert cutter.push("Here it is:\n```python\n") == ["Here it is:", "```python"]
    assert cutter.push("a = 1\nb = 2\n" * 50) == []
    assert cutter.hurry() == [], "nobody hears any of it"
    assert cutter.push("```\nThat is it. So") == ["a = 1\nb = 2\n" * 50 + "```", "That is it."]
    assert cutter.push(" be it.\n| a |\n") == ["So be it."]
    assert cutter.push("|---|\n") == ["| a |\n|---|"]
    assert cutter.push("| 1 |\n" * 50) == []
    assert cutter.push("Fine.\n") == [("| 1 |\n" * 50).strip(), "Fine."]


def test_a_list_number_waits_for_its_item() -> None:
    cutter = ClauseCutter()
    assert cutter.push("Steps:\n1. ") == ["Steps:"]
    assert cutter.push("Open it.\n") == ["Open it."]


def test_a_clause_is_as_long_as_its_sound() -> None:
    words, figures = clauses_of("word " * 100), clauses_of("4567 " * 100)
    assert max(map(len, figures)) < max(map(len, words)) / 3
    assert max(map(len, clauses_of("好" * 500))) < 80


def test_a_long_address_is_not_cut() -> None:
    address = "https://example.com/" + "a1" * 300
    assert address in clauses_of(f"Please look at {address} for more.")


@pytest.mark.parametrize(
    ("voice", "clauses"),
    [
        ("en", ["Please bring:", "1. your ID, 2. your card, and 3. a pen."]),
        ("en", ["Do this.", "1. Open the app.", "2. Tap it."]),
        ("en", ["How many?", "12.", "Anything else?"]),
        ("en", ["We are open Mon, Wed, and Fri,", "all day long here."]),
        ("de", ["Er sagte:", "„Ich komme um 8 Uhr.“", "Dann ging er."]),
        ("de", ["Das ist am Di., 14.5.,", "um 14:30 Uhr."]),
        ("de", ["Vom 1.–3. Mai ist zu.", "Danach nicht."]),
        ("pt", ["Chegam hoje na Av. Paulista, n.º 5,", "às 9h."]),
        ("en", ["Open 9 a.m. - 5 p.m. daily.", "Bye."]),
    ],
)
def test_lists_dates_and_quotes_within_a_line(voice: str, clauses: list[str]) -> None:
    text = " ".join(clauses)
    assert clauses_of(text, voice) == clauses
    cutter = ClauseCutter(voice)
    assert [c for letter in text for c in cutter.push(letter)] + cutter.flush() == clauses


@pytest.mark.parametrize("size", [1, 2, 3, 7, 200])
@pytest.mark.parametrize(
    ("voice", "text", "clauses"),
    [
        ("en", '"Stop!" he said. "Now!" Then he left.', ['"Stop!" he said.', '"Now!"', "Then he left."]),
        ("fr", "« Viens ! » dit-il. « Pars ! » Il part.", ["« Viens ! » dit-il.", "« Pars ! »", "Il part."]),
        ("en", "The meeting is at 10 a.m. EST. Come.", ["The meeting is at 10 a.m. EST.", "Come."]),
        ("en", "Your order:\n- 2 × Coke – $5\n- 3 cups", ["Your order:", "2 × Coke – $5", "3 cups"]),
        ("en", "Here you go\n- 9:00 AM – breakfast", ["Here you go", "9:00 AM – breakfast"]),
        ("en", "It is cold.\n- 5 degrees", ["It is cold.", "- 5 degrees"]),
        ("de", "Ihre Ref. AB-1234 und Fam. Meier. Gut.", ["Ihre Ref. AB-1234 und Fam. Meier.", "Gut."]),
    ],
)
def test_what_goes_on_behind_a_quotation_or_an_abbreviation(
    voice: str, text: str, clauses: list[str], size: int
) -> None:
    cutter = ClauseCutter(voice)
    found = [c for i in range(0, len(text), size) for c in cutter.push(text[i : i + size])]
    assert found + cutter.flush() == clauses


@pytest.mark.parametrize(
    ("voice", "clauses", "between"),
    [
        ("en", ["We sell apples,", "pears, etc. and more.", "Come by."], " "),
        ("en", ["It is on Martin Luther King Jr. Blvd. near the park.", "Yes."], " "),
        ("en", ["“Why?” she asked.", "“Because.”"], " "),
        ("en", ["Dr. No is a film.", "I like it."], " "),
        ("de", ["Äpfel, Birnen usw. sind da.", "Bitte."], " "),
        ("de", ["Das Treffen ist am 3. Oktober.", "Kommen Sie?"], " "),
        ("fr", ["M. Dupont,", "M. Roy, etc. sont là.", "Oui."], " "),
        ("fr", ["« Oui. »", "Il part."], " "),
        ("es", ["¿Qué hora es?", "Son las 5 p. m.", "Gracias."], " "),
        ("it", ["L'avv. Rossi,", "il dott. Bianchi, ecc. sono qui.", "Bene."], " "),
        ("nl", ["Dhr. Jansen,", "mevr. Bos, enz. komen.", "Ja."], " "),
        ("tr", ["Toplantı 3 Şub. Pzt. günü.", "Gelin."], " "),
        ("zh", ["你好！", "请问你要什么？", "我们有3.5元的。"], ""),
        ("ja", ["こんにちは。", "「はい。」", "わかりました！"], ""),
        ("ko", ["안녕하세요.", "무엇을 도와드릴까요?"], " "),
        ("ar", ["أهلا.", "كيف الحال؟", "بخير."], " "),
        ("ur", ["یہ ٹھیک ہے۔", "شکریہ۔"], " "),
        ("hi", ["नमस्ते!", "मैं ठीक हूँ।", "समय 5.30 है।"], " "),
        ("th", ["สวัสดีครับ", "มีอะไรให้ช่วยไหม"], "\n"),
        ("my", ["မင်္ဂလာပါ။", "နေကောင်းလား။"], " "),
        ("am", ["ሰላም።", "እንዴት ነህ?"], " "),
        ("hy", ["Բարեւ։", "Լավ եմ։"], " "),
        ("km", ["សួស្តី។", "អរគុណ។"], " "),
        ("bo", ["བཀྲ་ཤིས།", "བདེ་ལེགས།"], " "),
        ("el", ["Γεια σας.", "Τι κάνετε;", "Καλά."], " "),
        ("he", ["שלום.", "מה שלומך?", "טוב."], " "),
        ("ru", ["Это ул. Ленина.", "Да."], " "),
    ],
)
@pytest.mark.parametrize("size", [1, 4, 200])
def test_clauses_of_many_languages_as_they_are_written(voice: str, clauses: list[str], between: str, size: int) -> None:
    text, cutter = between.join(clauses), ClauseCutter(voice)
    found = [c for i in range(0, len(text), size) for c in cutter.push(text[i : i + size])]
    assert found + cutter.flush() == clauses

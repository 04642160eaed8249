from __future__ import annotations

import pytest

from media_server.call.joining import joined, unspaced


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((), ""),
        (("", "hello", " ", "you "), "hello you"),
        (("你好。", "今天"), "你好。今天"),
        (("こんにちは、", "元気ですか"), "こんにちは、元気ですか"),
        (("안녕하세요.", "반갑습니다"), "안녕하세요. 반갑습니다"),
        (("你好", "hello", "再见"), "你好 hello 再见"),
        (("สวัสดี", "ครับ"), "สวัสดี ครับ"),
    ],
)
def test_pieces_are_joined_as_their_script_writes_them(parts: tuple[str, ...], text: str) -> None:
    assert joined(*parts) == text


def test_a_word_of_a_script_without_spaces_may_be_a_sentence() -> None:
    assert [w for w in ("hello", "我们九点开门", "我", "สวัสดี", "안녕하세요", "2024") if unspaced(w)] == [
        "我们九点开门",
        "สวัสดี",
    ]

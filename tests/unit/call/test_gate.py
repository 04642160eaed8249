from __future__ import annotations

from media_server.call.gate import Gate


def test_what_is_done_before_it_opens_waits_and_keeps_its_order() -> None:
    done: list[int] = []
    gate = Gate()
    gate.do(lambda: done.append(1))
    gate.do(lambda: done.append(2))
    assert done == []
    gate.open()
    assert done == [1, 2]
    gate.do(lambda: done.append(3))
    assert done == [1, 2, 3]
    gate.open()
    assert done == [1, 2, 3]

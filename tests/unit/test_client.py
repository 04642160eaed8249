"""What programs ask of a server, where its answers are not what they expect."""

from __future__ import annotations

from typing import Any

import pytest

from media_server.cli import main


@pytest.mark.parametrize("line", ["agents", "calls", "calls x", "tokens desk"])
@pytest.mark.parametrize("answer", [{"agents": "none", "calls": [{"id": 1}], "token": 5}, {}, None], ids=repr)
def test_a_server_of_another_version_is_said_to_be_one(
    line: str, answer: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def ask(*_: object, **__: object) -> Any:
        return answer

    monkeypatch.setattr("media_server.client.ask", ask)
    with pytest.raises(SystemExit) as stopped:
        main([*line.split(), "--url", "http://box"])
    assert stopped.value.code == 1
    assert "Is it another version?" in capsys.readouterr().err

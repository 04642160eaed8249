"""What is heard while an answer takes long."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from media_server.agents import Agent, AgentRegistry
from media_server.audio import CALL_RATE_HZ, write_wav
from media_server.call.comfort import check_sound, fill_silence
from media_server.rtc import Speaker, Speech

MUSIC = (np.sin(np.arange(CALL_RATE_HZ // 2) / 20) * 3000).astype(np.int16)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    write_wav(tmp_path / "hold.wav", MUSIC, CALL_RATE_HZ)
    return tmp_path / "hold.wav"


async def sounds_in(speaker: Speaker, seconds: float) -> bool:
    await asyncio.sleep(seconds)
    return any([speaker.take().any() for _ in range(20)])


@pytest.mark.parametrize("kind", ["soft", "file"])
async def test_it_sounds_when_nothing_was_heard_for_long(kind: str, music: Path) -> None:
    agent = Agent("x", comfort_sound="soft" if kind == "soft" else music, comfort_s=0.5)
    speaker, over = Speaker(), asyncio.Event()
    filling = asyncio.create_task(fill_silence(agent, speaker, over))
    assert not await sounds_in(speaker, 0.7), "the caller may go on"
    over.set()
    assert not await sounds_in(speaker, 0.1)
    assert await sounds_in(speaker, 1.0)
    speaker.play(Speech(np.full(960, 100, np.int16)))
    assert (speaker.take()[480:] == 100).all(), "speech cuts it"
    assert not speaker.take().any()
    assert await sounds_in(speaker, 1.0), "it comes back when it takes long again"
    filling.cancel()
    await asyncio.wait([filling])
    speaker.take()
    assert speaker.is_silent


async def test_music_is_not_begun_anew_while_it_is_heard(tmp_path: Path) -> None:
    rising = (np.arange(CALL_RATE_HZ * 4) // 48).astype(np.int16)
    write_wav(tmp_path / "rising.wav", rising, CALL_RATE_HZ)
    speaker, over = Speaker(), asyncio.Event()
    over.set()
    agent = Agent("x", comfort_sound=tmp_path / "rising.wav", comfort_s=0.5)
    filling = asyncio.create_task(fill_silence(agent, speaker, over))
    await asyncio.sleep(0.7)
    heard = [speaker.take() for _ in range(30)]
    await asyncio.sleep(0.6)
    heard.append(speaker.take())
    filling.cancel()
    await asyncio.wait([filling])
    assert heard[-1][0] == heard[-2][0] + 20


async def test_there_is_none_unless_an_agent_has_one() -> None:
    over = asyncio.Event()
    over.set()
    await fill_silence(Agent("x"), Speaker(), over)
    await fill_silence(Agent("x", comfort_sound="soft"), None, over)


async def test_a_file_that_is_gone_since_ends_no_call(tmp_path: Path) -> None:
    over = asyncio.Event()
    over.set()
    await fill_silence(Agent("x", comfort_sound=tmp_path / "gone.wav"), Speaker(), over)


def test_music_is_looked_for_beside_the_agents_file(music: Path) -> None:
    (music.parent / "desk.toml").write_text('comfort_sound = "hold.wav"')
    (music.parent / "soft.toml").write_text('comfort_sound = "soft"')
    book = AgentRegistry(check_sound=check_sound)
    assert book.load(music.parent) == []
    desk, soft = book.get("desk"), book.get("soft")
    assert desk
    assert desk.comfort_sound == music
    assert soft
    assert soft.comfort_sound == "soft"


@pytest.mark.parametrize("name", ["none.wav", "notes.txt", "silent.wav", ".", "long.wav"])
def test_what_is_no_music_is_told_when_it_is_loaded(tmp_path: Path, name: str) -> None:
    write_wav(tmp_path / "silent.wav", np.zeros(4800, np.int16), CALL_RATE_HZ)
    write_wav(tmp_path / "long.wav", np.ones(8000 * 601, np.int16), 8000)
    (tmp_path / "notes.txt").write_text("la la la")
    (tmp_path / "desk.toml").write_text(f'comfort_sound = "{name}"')
    (problem,) = AgentRegistry(check_sound=check_sound).load(tmp_path)
    assert "comfort_sound" in str(problem)


def test_a_program_has_no_files_on_the_server(music: Path) -> None:
    book = AgentRegistry()
    with pytest.raises(ValueError, match="comfort_sound"):
        book.register(Agent("x", comfort_sound=music))
    book.register(Agent("x", comfort_sound="soft"))


def test_music_is_not_changed_over_http(music: Path) -> None:
    file = music.parent / "desk.toml"
    file.write_text('comfort_sound = "hold.wav"')
    book = AgentRegistry(check_sound=check_sound)
    book.load(music.parent)
    with pytest.raises(ValueError, match="comfort_sound"):
        book.change("desk", {"comfort_sound": "soft"})
    with pytest.raises(ValueError, match="comfort_sound"):
        book.rewrite(file, 'comfort_sound = "/etc/hostname"')
    assert book.rewrite(file, 'prompt = "Hello."\ncomfort_sound = "hold.wav"') == []

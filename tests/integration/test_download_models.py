"""download_models.py against a real HTTP server on this machine."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

SCRIPT = Path(__file__).parents[2] / "download_models.py"
BIG = bytes(range(256)) * 4096
FILES = {"stt/model.bin": BIG, "chat/a b.gguf": b"chat", "voice/v.onnx": b"voice"}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def manifest(files: dict[str, bytes]) -> str:
    head = (
        'name = "small"\ndescription = "d"\nrevision = "r1"\nlicence = "l"\n'
        '[stt]\npath = "stt"\n[llm]\npath = "chat/a b.gguf"\n[tts]\npath = "voice/v.onnx"\n'
    )
    entries = [f'[[files]]\npath = "{p}"\nsize = {len(b)}\nsha256 = "{sha256(b)}"\n' for p, b in files.items()]
    return head + "".join(entries)


@dataclass
class Packs:
    """What the server serves, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=lambda: dict(FILES))
    manifest_text: str = manifest(FILES)
    manifest_sha256: str = sha256(manifest(FILES).encode())
    ranges: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    break_off: int = 0
    """How many times the big file breaks off in the middle."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.requests.append(path)
        if path == "catalog.toml":
            entry = '[[packs]]\nname = "small"\nrevision = "r1"\ndescription = "A small one"\n'
            return web.Response(text=entry + f'manifest_sha256 = "{self.manifest_sha256}"\n')
        if path == "small/r1/pack.toml":
            return web.Response(text=self.manifest_text)
        data = self.files.get(path.removeprefix("small/r1/"))
        if data is None:
            raise web.HTTPNotFound
        start = 0
        if wanted := request.headers.get("Range"):
            self.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        response = web.StreamResponse(status=206 if start else 200)
        response.content_length = len(data) - start
        await response.prepare(request)
        if len(data) > 1000 and self.break_off:
            self.break_off -= 1
            await response.write(data[start : start + len(data) // 3])
            assert request.transport is not None
            request.transport.abort()
            return response
        await response.write(data[start:])
        return response


@pytest.fixture
async def packs() -> AsyncIterator[Packs]:
    packs = Packs()
    app = web.Application()
    app.router.add_get("/{path:.+}", packs.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    packs.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield packs
    await runner.cleanup()


async def download(models: Path, *args: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), "--models-dir", str(models), *args,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_a_pack_is_fetched_and_verified(packs: Packs, tmp_path: Path) -> None:
    status, out = await download(tmp_path, "fetch", "small", "--source", packs.url)
    assert status == 0, out
    assert "100%" in out
    assert {p: (tmp_path / "small" / p).read_bytes() for p in FILES} == FILES
    assert list((tmp_path / "small").rglob("*.part")) == []
    assert (await download(tmp_path, "verify", "small"))[0] == 0


async def test_what_is_here_is_not_fetched_again(packs: Packs, tmp_path: Path) -> None:
    await download(tmp_path, "fetch", "small", "--source", packs.url)
    packs.requests.clear()
    status, out = await download(tmp_path, "fetch", "small", "--source", packs.url)
    assert (status, out.count("already here")) == (0, 3)
    assert packs.requests == ["catalog.toml", "small/r1/pack.toml"]


async def test_a_download_that_breaks_off_is_resumed(packs: Packs, tmp_path: Path) -> None:
    packs.break_off = 2
    status, out = await download(tmp_path, "fetch", "small", "--source", packs.url)
    assert status == 0, out
    assert (tmp_path / "small/stt/model.bin").read_bytes() == BIG
    assert len(packs.ranges) == 2
    assert packs.ranges[0] != "bytes=0-"


async def test_the_next_run_goes_on_where_the_last_one_gave_up(packs: Packs, tmp_path: Path) -> None:
    part = tmp_path / "small/stt/model.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(BIG[:500_000])
    status, _ = await download(tmp_path, "fetch", "small", "--source", packs.url)
    assert status == 0
    assert packs.ranges == ["bytes=500000-"]
    assert (tmp_path / "small/stt/model.bin").read_bytes() == BIG


async def test_a_damaged_file_is_refused_and_removed(packs: Packs, tmp_path: Path) -> None:
    packs.files["voice/v.onnx"] = b"VOICE"
    status, out = await download(tmp_path, "fetch", "small", "--source", packs.url)
    assert status == 1
    assert "voice/v.onnx arrived damaged" in out
    assert not (tmp_path / "small/voice/v.onnx").exists()
    assert not (tmp_path / "small/pack.toml").exists()


async def test_another_manifest_than_the_pinned_one_is_refused(packs: Packs, tmp_path: Path) -> None:
    packs.manifest_text += "\n"
    status, out = await download(tmp_path, "fetch", "small", "--source", packs.url)
    assert status == 1
    assert "not the one that the catalogue names" in out


async def test_a_manifest_cannot_write_outside_its_folder(packs: Packs, tmp_path: Path) -> None:
    packs.manifest_text = manifest({"../../evil": b"x"})
    packs.manifest_sha256 = sha256(packs.manifest_text.encode())
    status, out = await download(tmp_path, "fetch", "small", "--source", packs.url)
    assert status == 1
    assert "not a valid pack manifest" in out


async def test_files_larger_than_promised_are_stopped(packs: Packs, tmp_path: Path) -> None:
    packs.files["voice/v.onnx"] = b"v" * 1000
    status, out = await download(tmp_path, "fetch", "small", "--source", packs.url)
    assert status == 1
    assert "larger than the manifest says" in out


async def test_a_missing_file_and_an_unknown_pack_are_named(packs: Packs, tmp_path: Path) -> None:
    status, out = await download(tmp_path, "fetch", "none", "--source", packs.url)
    assert (status, "It has: small." in out) == (1, True)
    del packs.files["voice/v.onnx"]
    status, out = await download(tmp_path, "fetch", "small", "--source", packs.url)
    assert (status, "answered 404" in out) == (1, True)


@pytest.mark.parametrize(
    ("source", "says"),
    [("http://127.0.0.1:9", "Is there a network"), ("nonsense", "is not an address"), ("", "Say where from")],
)
async def test_without_a_source_there_is_a_clear_sentence(tmp_path: Path, source: str, says: str) -> None:
    status, out = await download(tmp_path, "fetch", "small", "--source", source)
    assert status == 1
    assert says in out
    assert "Traceback" not in out


async def test_packs_are_listed(packs: Packs, tmp_path: Path) -> None:
    status, out = await download(tmp_path, "list", "--source", packs.url)
    assert status == 0
    assert "starter" in out
    assert "A small one" in out

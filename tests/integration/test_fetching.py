"""Packs of a catalogue, fetched over real sockets from servers laid out as hub, mirror and Python index."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import json
import random
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from media_server.engines.packs import load_pack, problems_of
from media_server.packs import local, transfer
from media_server.packs.catalogue import Catalogue
from media_server.packs.composing import Composition, Wishes, compose
from media_server.packs.fetching import fetch, from_sources
from media_server.packs.local import PackError, locked
from media_server.packs.sources import Source, chosen_sources
from media_server.packs.transfer import DownloadError, http_session

BIG = random.Random(1).randbytes(3_000_000)
CONTENT = {
    "org/hears": {"config.json": b"{}", "model.bin": BIG, "tokenizer.json": b"[]", "vocabulary.txt": b"a"},
    "org/thinks": {"thinks q4.gguf": random.Random(2).randbytes(400_000)},
    "org/speaks": {
        "en/joe.onnx": b"onnx" * 999,
        "en/joe.onnx.json": b"{}",
        "tugão.onnx": b"o",
        "tugão.onnx.json": b"{}",
    },
}
REVISION = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    f"/{repo}/resolve/{REVISION}/{path}": data for repo, all_of in CONTENT.items() for path, data in all_of.items()
}


def model(name: str, repo: str, *paths: str, **more: Any) -> dict[str, Any]:
    files = [
        {"path": p, "size": len(CONTENT[repo][p]), "sha256": hashlib.sha256(CONTENT[repo][p]).hexdigest()}
        for p in paths or CONTENT[repo]
    ]
    given = {"id": name, "repo": repo, "revision": REVISION, "licence": "MIT", "commercial_use": "yes", "files": files}
    return given | more


def by_md5(entry: dict[str, Any]) -> dict[str, Any]:
    data = CONTENT[entry["repo"]]
    files = [
        {"path": f["path"], "size": f["size"], "md5": hashlib.md5(data[f["path"]]).hexdigest()} for f in entry["files"]
    ]
    return entry | {"files": files}


RECIPE = {"name": "small", "description": "d", "stt": "hears", "llm": "thinks", "voices": ["joe"]}
PACKAGE = {"name": "Model.Parts", "version": "1.0", "folder": "model_parts/data"}
CATALOGUE = Catalogue.model_validate(
    {
        "version": 1,
        "packs": [RECIPE],
        "stt": [model("hears", "org/hears", package=PACKAGE)],
        "llm": [model("thinks", "org/thinks", package=PACKAGE)],
        "tts": [
            model("joe", "org/speaks", "en/joe.onnx", "en/joe.onnx.json", package=PACKAGE),
            by_md5(model("tugao", "org/speaks", "tugão.onnx", "tugão.onnx.json")),
        ],
    }
)
SMALL = compose(CATALOGUE, "small", None, Wishes())


@dataclass
class Site:
    """A server whose behaviour a test chooses; by default it is a hub that has all and can resume."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=lambda: dict(FILES))
    types: dict[str, str] = field(default_factory=dict)
    requests: list[web.Request] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    """After how many bytes of an answer for the big file the connection is reset, answer by answer."""
    answer: Callable[[web.Request], web.StreamResponse | None] = lambda _: None
    """Answers in place of this server where it returns something."""
    etag: str = '"v1"'
    resumes: bool = True

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if (other := self.answer(request)) is not None:
            return other
        data = self.files.get(request.path)
        if data is None:
            raise web.HTTPNotFound
        start = 0
        if self.resumes and request.headers.get("If-Range", self.etag) == self.etag:
            start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if start >= len(data):
            raise web.HTTPRequestRangeNotSatisfiable
        response = web.StreamResponse(status=206 if start else 200, headers={"ETag": self.etag})
        response.content_type = self.types.get(request.path, "application/octet-stream")
        response.content_length = len(data) - start
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        await response.prepare(request)
        rest = data[start:]
        if data is BIG and self.cuts:
            await response.write(rest[: self.cuts.pop(0)])
            await asyncio.sleep(0.01)
            assert request.transport is not None
            request.transport.abort()
            return response
        await response.write(rest)
        return response

    def asked(self, path: str) -> list[web.Request]:
        return [r for r in self.requests if r.path.endswith(path)]


async def site(stack: list[web.AppRunner]) -> Site:
    made = Site()
    app = web.Application()
    app.router.add_get("/{path:.+}", made.handle)
    runner = web.AppRunner(app)
    stack.append(runner)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    return made


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
async def sites() -> AsyncIterator[Callable[[], Any]]:
    stack: list[web.AppRunner] = []
    yield lambda: site(stack)
    for runner in stack:
        await runner.cleanup()


@pytest.fixture
async def hub(sites: Callable[[], Any]) -> Site:
    made: Site = await sites()
    return made


async def fetched(
    models: Path, *specs: str, composition: Composition = SMALL, environment: dict[str, str] | None = None
) -> list[str]:
    said: list[str] = []
    async with http_session() as http:
        sources: list[Source] = list(chosen_sources(specs, http, environment or {}).files)
        await fetch(from_sources(composition, sources), models, said.append)
    return said


def is_right(models: Path) -> bool:
    pack = load_pack("small", models)
    for path, file in SMALL.files().items():
        data = (pack.folder / path).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file.sha256
    left = [p.name for p in models.rglob("*") if p.suffix in (".part", ".etag", ".wheel")]
    return problems_of(pack) == [] and left == [] and [p.name for p in models.iterdir() if p.is_dir()] == ["small"]


async def test_a_pack_is_fetched_from_a_hub_with_its_origins(hub: Site, tmp_path: Path) -> None:
    await fetched(tmp_path, f"hub={hub.url}")
    assert is_right(tmp_path)
    manifest = load_pack("small", tmp_path).manifest
    assert manifest.llm.path == "chat/thinks q4.gguf"
    assert [(m.part, m.id, m.revision) for m in manifest.models] == [
        ("stt", "hears", REVISION), ("llm", "thinks", REVISION), ("tts", "joe", REVISION)
    ]  # fmt: skip
    hub.requests.clear()
    said = await fetched(tmp_path, f"hub={hub.url}")
    assert len(said) == len(SMALL.files())
    assert hub.requests == []


async def test_twenty_random_cuts_end_in_verified_files(hub: Site, tmp_path: Path) -> None:
    chance = random.Random(7)
    hub.cuts = [chance.choice([0, 1, chance.randrange(200_000)]) for _ in range(20)]
    hub.cuts = [c or 1 for c in hub.cuts]
    await fetched(tmp_path, f"hub={hub.url}")
    assert hub.cuts == []
    assert is_right(tmp_path)
    resumed = [r for r in hub.asked("model.bin") if "Range" in r.headers]
    assert len(resumed) >= 15
    assert all(r.headers["If-Range"] == '"v1"' for r in resumed)


async def test_cuts_that_bring_nothing_end_after_a_few_tries_and_the_next_run_goes_on(
    hub: Site, tmp_path: Path
) -> None:
    hub.cuts = [1_000_000, *[0] * 10]
    with pytest.raises(DownloadError, match=r"model\.bin broke off.* Run it again to go on"):
        await fetched(tmp_path, f"hub={hub.url}")
    assert not (tmp_path / "small").exists()
    hub.cuts = []
    hub.requests.clear()
    await fetched(tmp_path, f"hub={hub.url}")
    assert is_right(tmp_path)
    assert int(hub.asked("model.bin")[0].headers["Range"].removeprefix("bytes=")[:-1]) > 0


async def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(hub: Site, tmp_path: Path) -> None:
    hub.cuts = [1_000_000, *[0] * 10]
    hub.etag = '"old"'
    with pytest.raises(DownloadError):
        await fetched(tmp_path, f"hub={hub.url}")
    hub.cuts, hub.etag = [], '"new"'
    await fetched(tmp_path, f"hub={hub.url}")
    assert is_right(tmp_path)
    assert hub.asked("model.bin")[-1].headers["If-Range"] == '"old"'


async def test_a_server_that_cannot_resume_sends_all_again(hub: Site, tmp_path: Path) -> None:
    hub.cuts, hub.resumes = [500_000, 2_000_000], False
    await fetched(tmp_path, f"hub={hub.url}")
    assert is_right(tmp_path)


async def test_what_was_begun_wrong_is_brought_anew(hub: Site, sites: Callable[[], Any], tmp_path: Path) -> None:
    """A source that sends something else and breaks off would spoil the file for all that come after it."""
    liar: Site = await sites()
    path = next(p for p, data in FILES.items() if data is BIG)

    def lie(request: web.Request) -> web.StreamResponse | None:
        if request.path != path:
            return None
        if "Range" in request.headers:
            raise web.HTTPNotFound
        return web.Response(body=b"lies" * 1000, headers={"Content-Length": str(len(BIG))})

    liar.answer = lie
    await fetched(tmp_path, f"hub={liar.url}", f"hub={hub.url}")
    assert is_right(tmp_path)


async def test_a_damaged_beginning_on_the_disk_is_brought_anew(hub: Site, tmp_path: Path) -> None:
    hub.cuts = [1_000_000, *[0] * 10]
    with pytest.raises(DownloadError, match=r"the connection ended before the file did\. Run it again"):
        await fetched(tmp_path, f"hub={hub.url}")
    hub.cuts = []
    (part,) = await asyncio.to_thread(lambda: list(tmp_path.rglob("*.part")))
    part.write_bytes(b"x" + part.read_bytes()[1:])
    await fetched(tmp_path, f"hub={hub.url}")
    assert is_right(tmp_path)


@pytest.mark.parametrize(
    ("to", "told"),
    [("", "redirects again and again"), ("file:///etc/passwd", "no address on the web"), ("http://[::", "no address")],
)
async def test_a_redirect_to_nowhere_is_a_sentence_at_once(hub: Site, tmp_path: Path, to: str, told: str) -> None:
    hub.answer = lambda request: web.Response(status=302, headers={"Location": to or request.path})
    with pytest.raises(DownloadError, match=told) as failed:
        await fetched(tmp_path, f"hub={hub.url}")
    assert "message=" not in failed.value.message


async def test_a_flipped_bit_is_told_by_name_and_what_was_there_stays(hub: Site, tmp_path: Path) -> None:
    await fetched(tmp_path, f"hub={hub.url}")
    before = (tmp_path / "small/pack.toml").read_text()
    path = next(p for p in FILES if p.endswith(".gguf"))
    damaged = bytearray(FILES[path])
    damaged[1234] ^= 1
    hub.files[path] = bytes(damaged)
    (tmp_path / "small/chat/thinks q4.gguf").write_bytes(b"lost")
    with pytest.raises(DownloadError, match=r"chat/thinks q4\.gguf arrived damaged from http://127"):
        await fetched(tmp_path, f"hub={hub.url}")
    assert (tmp_path / "small/pack.toml").read_text() == before
    assert (tmp_path / "small/chat/thinks q4.gguf").read_bytes() == b"lost"
    hub.files[path] = FILES[path]
    await fetched(tmp_path, f"hub={hub.url}")
    assert is_right(tmp_path)


async def test_a_disk_that_fills_up_is_told_by_name(hub: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, written = transfer._write, 0

    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    def write(f: Any, chunk: bytes, part: Path) -> None:
        nonlocal written
        written += len(chunk)
        real(f if written < 1_000_000 else Full(), chunk, part)

    monkeypatch.setattr(transfer, "_write", write)
    with pytest.raises(PackError, match=r"The disk is full: .*part could not be written.*Make room"):
        await fetched(tmp_path, f"hub={hub.url}")
    monkeypatch.setattr(transfer, "_write", real)
    await fetched(tmp_path, f"hub={hub.url}")
    assert is_right(tmp_path)


async def test_a_disk_that_is_too_small_is_told_before(
    hub: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "SPARE", 1 << 60)
    with pytest.raises(PackError, match=r"The pack small needs 3\.40 MB|The pack small needs 3\.4 MB"):
        await fetched(tmp_path, f"hub={hub.url}")
    assert hub.requests == []


@pytest.mark.parametrize(
    ("status", "token", "says"),
    [
        (404, "", "it is not there"), (401, "", "Set HF_TOKEN"), (403, "hf_x", "may not read it"),
        (401, "hf_x", "HF_TOKEN is not accepted"), (503, "", "busy or in trouble"), (429, "", "busy or in trouble"),
        (400, "", "Is the source right"), (416, "", "cannot be resumed"),
    ],
)  # fmt: skip
async def test_what_a_server_refuses_is_a_sentence(
    hub: Site, tmp_path: Path, status: int, token: str, says: str
) -> None:
    hub.answer = lambda r: web.Response(status=status) if r.path.endswith(".gguf") else None
    with pytest.raises(DownloadError, match=says) as raised:
        await fetched(tmp_path, "hub", environment={"HF_ENDPOINT": hub.url, "HF_TOKEN": token})
    assert "thinks%20q4.gguf" in raised.value.message
    assert "hf_x" not in raised.value.message


async def test_a_page_in_place_of_a_file_is_told(hub: Site, tmp_path: Path) -> None:
    hub.answer = lambda r: web.Response(text="<h1>Log in", content_type="text/html") if r.path.endswith("bin") else None
    with pytest.raises(DownloadError, match=r"model\.bin is smaller than the manifest says .* wants a login"):
        await fetched(tmp_path, f"hub={hub.url}")


async def test_a_server_in_trouble_is_tried_again(hub: Site, tmp_path: Path) -> None:
    trouble = [503, 502, 429]
    hub.answer = lambda r: web.Response(status=trouble.pop()) if r.path.endswith(".gguf") and trouble else None
    await fetched(tmp_path, f"hub={hub.url}")
    assert trouble == []
    assert is_right(tmp_path)


async def test_the_token_goes_to_the_hub_and_not_to_where_it_redirects(
    hub: Site, sites: Callable[[], Any], tmp_path: Path
) -> None:
    store: Site = await sites()
    hub.answer = lambda r: web.Response(status=302, headers={"Location": f"{store.url}{r.rel_url}?signature=s"})
    hub.cuts = store.cuts = [700_000]
    await fetched(tmp_path, "hub", environment={"HF_ENDPOINT": hub.url + "/", "HF_TOKEN": " hf_x\n"})
    assert is_right(tmp_path)
    assert {r.headers.get("Authorization") for r in hub.requests} == {"Bearer hf_x"}
    # another port is another server
    assert {r.headers.get("Authorization") for r in store.requests} == {None}
    assert any("Range" in r.headers for r in store.requests)


async def test_the_next_source_is_tried_where_one_lacks_a_file_or_has_another(
    hub: Site, sites: Callable[[], Any], tmp_path: Path
) -> None:
    other: Site = await sites()
    path = next(p for p in FILES if p.endswith(".gguf"))
    hub.files[path] = b"x" * len(FILES[path])
    del hub.files[next(p for p in FILES if p.endswith("joe.onnx"))]
    await fetched(tmp_path, f"hub={hub.url}", f"hub={other.url}")
    assert is_right(tmp_path)
    assert {r.path.rpartition("/")[2] for r in other.requests} == {"thinks q4.gguf", "joe.onnx"}


@pytest.mark.parametrize("layout", ["hub", "repository", "cache", "names"])
async def test_a_folder_is_a_source_however_it_is_laid_out(tmp_path: Path, layout: str) -> None:
    stick = tmp_path / "a stick"
    for repo, all_of in CONTENT.items():
        for path, data in all_of.items():
            at = {
                "hub": Path(repo, "resolve", REVISION, path),
                "repository": Path(repo, path),
                "cache": Path("hub", "models--" + repo.replace("/", "--"), "snapshots", REVISION, path),
                "names": Path(Path(path).name),
            }[layout]
            (stick / at).parent.mkdir(parents=True, exist_ok=True)
            (stick / at).write_bytes(data)
    await fetched(tmp_path / "models", (stick).as_uri())
    assert is_right(tmp_path / "models")


async def test_a_folder_with_another_version_says_so(tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick/model.bin").write_bytes(BIG[::-1])
    with pytest.raises(DownloadError, match=r"has no .* of (hears|thinks|joe), or another version of it"):
        await fetched(tmp_path / "models", str(tmp_path / "stick"))
    assert not (tmp_path / "models/small").exists()


def wheel() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for all_of in CONTENT.values():
            for path, data in all_of.items():
                z.writestr(f"model_parts/data/{path.rpartition('/')[2]}", data)
    return out.getvalue()


@pytest.mark.parametrize("form", ["json", "html"])
async def test_packages_of_a_python_index_are_a_source(hub: Site, tmp_path: Path, form: str) -> None:
    data, name = wheel(), "model_parts-1.0-py3-none-any.whl"
    sha256 = hashlib.sha256(data).hexdigest()
    if form == "json":
        hub.types["/simple/model-parts/"] = "application/vnd.pypi.simple.v1+json"
        files = [
            {"filename": n, "url": f"../../files/{n}", "hashes": {"sha256": sha256}} for n in ("x-1.0.tar.gz", name)
        ]
        page = json.dumps({"meta": {"api-version": "1.1"}, "name": "model-parts", "files": files})
    else:
        hub.types["/simple/model-parts/"] = "text/html"
        page = f'<!DOCTYPE html><a href="../../files/{name}#sha256={sha256}">{name}</a><a href="/files/x.whl">x</a>'
    hub.files = {"/simple/model-parts/": page.encode(), f"/files/{name}": data}
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {hub.url}/simple\n")
    await fetched(tmp_path / "m", "index", environment={"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")})
    assert is_right(tmp_path / "m")
    assert len(hub.asked(".whl")) == 1


async def test_an_index_without_the_package_is_a_sentence(hub: Site, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="answered 404"):
        await fetched(tmp_path, f"index=http://user:secret@{hub.url.removeprefix('http://')}/simple")
    hub.files = {"/simple/model-parts/": b"[]"}
    with pytest.raises(DownloadError, match=r"has no wheel of version 1\.0") as raised:
        await fetched(tmp_path, f"index=http://user:secret@{hub.url.removeprefix('http://')}/simple")
    assert "secret" not in raised.value.message
    assert hub.requests[-1].headers["Authorization"].startswith("Basic ")


async def test_files_without_a_sha256_are_checked_by_what_is_known_and_hashed(hub: Site, tmp_path: Path) -> None:
    both = compose(CATALOGUE, "small", None, Wishes(voices=["tugão", "joe"]))
    await fetched(tmp_path, f"hub={hub.url}", composition=both)
    pack = load_pack("small", tmp_path)
    assert problems_of(pack) == []
    assert list(pack.manifest.voices) == ["tugao", "joe"]
    assert pack.manifest.tts.path == "voice/tugao.onnx"
    path = next(p for p in FILES if p.endswith("tugão.onnx"))
    hub.files[path] = b"x"
    with pytest.raises(DownloadError, match=r"voice/tugao\.onnx arrived damaged .*MD5 differs"):
        await fetched(tmp_path / "other", f"hub={hub.url}", composition=both)


async def test_two_fetches_of_one_pack_do_not_meet(hub: Site, tmp_path: Path) -> None:
    with locked(tmp_path, "small"), pytest.raises(PackError, match="Another process is changing the pack"):
        await fetched(tmp_path, f"hub={hub.url}")
    results = await asyncio.gather(*(fetched(tmp_path, f"hub={hub.url}") for _ in range(3)), return_exceptions=True)
    assert sum(not isinstance(r, Exception) for r in results) == 1
    assert is_right(tmp_path)


async def test_a_cancelled_fetch_keeps_its_parts_and_leaves_no_pack(hub: Site, tmp_path: Path) -> None:
    started = asyncio.Event()

    def wait(request: web.Request) -> None:
        if request.path.endswith("model.bin"):
            started.set()

    hub.answer = wait
    running = asyncio.create_task(fetched(tmp_path, f"hub={hub.url}"))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    hub.answer = lambda _: None
    await fetched(tmp_path, f"hub={hub.url}")
    assert is_right(tmp_path)


async def test_a_proxy_is_taken_from_the_environment(
    hub: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", hub.url)
    await fetched(tmp_path, "hub=http://hub.invalid")
    assert is_right(tmp_path)
    assert {r.headers["Host"] for r in hub.requests} == {"hub.invalid"}

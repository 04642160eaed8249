#!/usr/bin/env python3
"""Fetch model packs into `models/`, resumably and with checksums; `--help` says how.

A source is any static HTTP server, laid out as

    SOURCE/catalog.toml                         [[packs]] name, revision, description, manifest_sha256
    SOURCE/NAME/REVISION/pack.toml              the manifest: files with size and SHA-256
    SOURCE/NAME/REVISION/<path of each file>

The catalogue pins a revision of each pack and the checksum of its manifest; the manifest pins every file.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import os
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tqdm import tqdm

from media_server.engines.packs import PackFile, load_pack, problems_of, read_manifest
from media_server.errors import ConfigurationError, MediaServerError
from media_server.paths import BUNDLED_MODELS

SOURCE_VARIABLE = "MEDIA_SERVER_MODELS_SOURCE"
CHUNK = 1 << 18
TRIES = 4
MANIFEST_LIMIT = 1 << 20


class DownloadError(MediaServerError):
    """What could not be fetched, why, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__("download_failed", message)


class Entry(BaseModel):
    """A pack in a catalogue."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    revision: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    description: str
    manifest_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Catalog(BaseModel):
    model_config = ConfigDict(extra="forbid")

    packs: list[Entry]


class Source:
    """A server of packs. Use it as an async context manager."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=60)
        self._http = aiohttp.ClientSession(timeout=timeout, raise_for_status=False)

    async def __aenter__(self) -> Source:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def catalog(self) -> Catalog:
        """Raises `DownloadError`."""
        text = await self._text("catalog.toml")
        try:
            return Catalog.model_validate(tomllib.loads(text))
        except (tomllib.TOMLDecodeError, ValidationError) as e:
            raise DownloadError(f"{self.url}/catalog.toml is not a valid catalogue: {e}") from e

    async def fetch(self, name: str, models_dir: Path) -> Path:
        """Fetch a pack into `models_dir/NAME`; what is there already and right is kept. The folder.

        Raises:
            DownloadError: names the file and what is wrong; running the same again goes on from there.
        """
        entries = {e.name: e for e in (await self.catalog()).packs}
        if name not in entries:
            known = ", ".join(sorted(entries)) or "none at all"
            raise DownloadError(f"{self.url} has no pack {name!r}. It has: {known}.")
        entry = entries[name]
        base = f"{entry.name}/{entry.revision}"
        text = await self._text(f"{base}/pack.toml")
        if hashlib.sha256(text.encode()).hexdigest() != entry.manifest_sha256:
            raise DownloadError(f"The manifest of {name} is not the one that the catalogue names (SHA-256 differs).")
        try:
            manifest = read_manifest(text, f"{self.url}/{base}/pack.toml")
        except ConfigurationError as e:
            raise DownloadError(e.message) from e
        folder = models_dir / name
        folder.mkdir(parents=True, exist_ok=True)
        for file in manifest.files:
            await self._file(f"{base}/{quote(file.path)}", file, folder / file.path)
        # last: a folder with a manifest is a complete pack
        (folder / "pack.toml").write_text(text, "utf-8")
        return folder

    async def _file(self, path: str, file: PackFile, to: Path) -> None:
        if to.is_file() and to.stat().st_size == file.size and await asyncio.to_thread(_sha256, to) == file.sha256:
            print(f"{file.path}: already here")
            return
        to.parent.mkdir(parents=True, exist_ok=True)
        part = to.with_name(to.name + ".part")
        with tqdm(total=file.size, unit="B", unit_scale=True, desc=file.path, leave=True) as bar:
            for attempt in range(1, TRIES + 1):
                try:
                    await self._rest(path, file, part, bar)
                    break
                except (aiohttp.ClientError, TimeoutError) as e:
                    if attempt == TRIES:
                        raise DownloadError(_why(f"{self.url}/{path}", e) + " Run it again to go on.") from e
                    await asyncio.sleep(0.5 * 2**attempt)
        if await asyncio.to_thread(_sha256, part) != file.sha256:
            part.unlink()
            raise DownloadError(f"{file.path} arrived damaged (SHA-256 differs); it was removed. Run it again.")
        part.replace(to)

    async def _rest(self, path: str, file: PackFile, part: Path, bar: tqdm[Any]) -> None:
        """Append what is missing of `part`."""
        have = part.stat().st_size if part.exists() else 0
        if have > file.size:
            part.unlink()
            have = 0
        bar.n = have
        bar.refresh()
        if have == file.size:
            return
        headers = {"Range": f"bytes={have}-"} if have else {}
        async with self._http.get(f"{self.url}/{path}", headers=headers) as response:
            if response.status == 200 and have:
                have = bar.n = 0  # a server that cannot resume sends all of it
            elif response.status not in (200, 206):
                raise DownloadError(f"{self.url}/{path} answered {response.status} {response.reason}.")
            with part.open("r+b" if have else "wb") as f:
                f.seek(have)
                async for chunk in response.content.iter_chunked(CHUNK):
                    have += len(chunk)
                    if have > file.size:
                        raise DownloadError(f"{file.path} is larger than the manifest says; the source is wrong.")
                    await asyncio.to_thread(f.write, chunk)
                    bar.update(len(chunk))
        if have < file.size:
            raise aiohttp.ClientPayloadError("the connection ended early")

    async def _text(self, path: str) -> str:
        url = f"{self.url}/{path}"
        try:
            async with self._http.get(url) as response:
                if response.status != 200:
                    raise DownloadError(f"{url} answered {response.status} {response.reason}. Is the source right?")
                return (await response.content.read(MANIFEST_LIMIT)).decode()
        except (aiohttp.ClientError, TimeoutError) as e:
            raise DownloadError(_why(url, e)) from e
        except UnicodeDecodeError as e:
            raise DownloadError(f"{url} is not text.") from e


def _why(url: str, error: BaseException) -> str:
    if isinstance(error, aiohttp.InvalidURL):
        return f"{url} is not an address; a source looks like http://models.example/packs."
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"Cannot reach {url}: {error.os_error.strerror or error.os_error}. Is there a network, and is it right?"
    if isinstance(error, TimeoutError):
        return f"{url} does not answer in time."
    return f"The download of {url} broke off: {error}."


def _sha256(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def local_packs(models_dir: Path) -> dict[str, Path]:
    """The packs that are on this machine, and where."""
    folders = [p.parent for root in (BUNDLED_MODELS, models_dir) for p in sorted(root.glob("*/pack.toml"))]
    return {f.name: f for f in folders}


async def _list(args: argparse.Namespace) -> None:
    here = local_packs(args.models_dir)
    print("On this machine:")
    for name in here:
        manifest = load_pack(name, args.models_dir).manifest
        print(f"  {name:<20} {sum(f.size for f in manifest.files) / 1e6:8.1f} MB  {manifest.description}")
    if not args.source:
        print(f"\nWith --source URL (or {SOURCE_VARIABLE} set) this also lists what can be fetched from there.")
        return
    async with Source(args.source) as source:
        packs = (await source.catalog()).packs
    print(f"\nAt {args.source}:")
    for entry in packs:
        print(
            f"  {entry.name:<20} {entry.revision:<14} {entry.description}" + ("  (here)" if entry.name in here else "")
        )


async def _fetch(args: argparse.Namespace) -> None:
    if not args.source:
        raise DownloadError(f"Say where from: --source URL, or set {SOURCE_VARIABLE}.")
    async with Source(args.source) as source:
        folder = await source.fetch(args.name, args.models_dir)
    print(f"{args.name} is in {folder}. Start with it: media-server serve --pack {args.name}")


async def _verify(args: argparse.Namespace) -> None:
    problems = problems_of(load_pack(args.name, args.models_dir))
    if problems:
        raise DownloadError(f"{args.name} is damaged: {'; '.join(problems)}.")
    print(f"{args.name}: all files are right.")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models-dir", type=Path, default=Path("models"), help="where packs are kept (%(default)s)")
    commands = parser.add_subparsers(title="commands", required=True)
    default = os.environ.get(SOURCE_VARIABLE)
    listing = commands.add_parser("list", help="packs on this machine, and at a source")
    listing.add_argument("--source", default=default, help=f"URL of a source (${SOURCE_VARIABLE})")
    listing.set_defaults(run=_list)
    fetch = commands.add_parser("fetch", help="fetch a pack by name")
    fetch.add_argument("name")
    fetch.add_argument("--source", default=default, help=f"URL of a source (${SOURCE_VARIABLE})")
    fetch.set_defaults(run=_fetch)
    verify = commands.add_parser("verify", help="check the files of a pack on this machine")
    verify.add_argument("name")
    verify.set_defaults(run=_verify)
    args = parser.parse_args(argv)
    try:
        asyncio.run(args.run(args))
    except MediaServerError as e:
        sys.exit(f"download_models: {e.message}")
    except OSError as e:
        sys.exit(f"download_models: {e.filename or ''}: {e.strerror or e}")
    except KeyboardInterrupt:
        with contextlib.suppress(BrokenPipeError):
            print("\nStopped; run it again to go on.")
        sys.exit(130)


if __name__ == "__main__":
    main()

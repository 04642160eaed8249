"""Fetching a pack: several files at a time from several sources, checked, and put in place when all are right."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from media_server.engines.packs import Pack, PackFile, manifest_in, problems_of, read_manifest
from media_server.errors import ConfigurationError, MediaServerError
from media_server.packs.catalogue import Model, PinnedFile
from media_server.packs.composing import Composition
from media_server.packs.local import Staging, check_space, sha256_of, staging
from media_server.packs.mirror import Entry, Mirror
from media_server.packs.sources import Source
from media_server.packs.transfer import Bar, DownloadError

__all__ = ["Item", "Plan", "fetch", "from_mirror", "from_sources"]

AT_ONCE = 4
"""Files that are fetched at a time."""

Bring = Callable[[Path, Bar], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Item:
    """A file of a pack, what it has to be, and the ways to get it, the best first."""

    path: str
    size: int
    sha256: str | None
    md5: str | None
    ways: Sequence[tuple[str, Bring]]
    """Each with the name of its source."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is needed to fetch a pack."""

    name: str
    revision: str
    items: Sequence[Item]
    manifest: Callable[[dict[str, str]], str]
    """Makes the text of `pack.toml` of the SHA-256 of each path."""

    @property
    def size(self) -> int:
        return sum(i.size for i in self.items)


def from_sources(composition: Composition, sources: Sequence[Source]) -> Plan:
    """How to fetch a pack of models of the catalogue."""
    items = [
        Item(path, file.size, file.sha256, file.md5, [(s.label, _bring(s, model, file)) for s in sources])
        for path, model, file in composition.places()
    ]
    return Plan(composition.name, composition.revision, items, composition.manifest)


def _bring(source: Source, model: Model, file: PinnedFile) -> Bring:
    return lambda part, bar: source.bring(model, file, part, bar)


async def from_mirror(mirror: Mirror, entry: Entry) -> Plan:
    """How to fetch a pack from a mirror.

    Raises:
        DownloadError: the mirror's manifest cannot be had, or is not right.
    """
    text = await mirror.manifest(entry)
    manifest = read_manifest(text, entry.name)

    def way(file: PackFile) -> Bring:
        return lambda part, bar: mirror.bring(entry, file, part, bar)

    items = [Item(f.path, f.size, f.sha256, None, [(mirror.label, way(f))]) for f in manifest.files]
    return Plan(entry.name, manifest.revision, items, lambda _: text)


async def fetch(plan: Plan, models_dir: Path, say: Callable[[str], None]) -> Path:
    """Fetch a pack into `models_dir/NAME`; what is there already and right is kept. Returns the folder.

    Args:
        say: is told of each file that is here already.

    Raises:
        PackError: names the file and what is wrong. The pack that was there is as it was, and running the same again
            goes on from there.
    """
    with staging(models_dir, plan.name) as place:
        if await asyncio.to_thread(_is_current, place.current, plan):
            for item in plan.items:
                say(f"{item.path}: already here")
            return place.current
        missing = []
        for item in plan.items:
            if item.sha256 is not None and await asyncio.to_thread(place.has, item.path, item.size, item.sha256):
                say(f"{item.path}: already here")
            else:
                missing.append(item)
        parts = {item.path: _part(place, item) for item in missing}
        needed = sum(i.size - (parts[i.path].stat().st_size if parts[i.path].exists() else 0) for i in missing)
        check_space(models_dir, needed, f"The pack {plan.name}")
        hashes = {i.path: i.sha256 for i in plan.items if i.sha256 is not None}
        slots = asyncio.Semaphore(AT_ONCE)
        total = sum(i.size for i in missing)
        with tqdm(total=total, unit="B", unit_scale=True, desc=plan.name, mininterval=_pause_s()) as bar:
            try:
                async with asyncio.TaskGroup() as group:
                    for item in missing:
                        to, part = place.folder / item.path, parts[item.path]
                        group.create_task(_item(item, to, part, slots, bar, hashes))
            except BaseExceptionGroup as errors:
                known, other = errors.split(MediaServerError)
                raise (other or known or errors).exceptions[0] from errors
        return await asyncio.to_thread(place.commit, plan.manifest(hashes))


def _pause_s() -> float:
    """How often progress is shown: in a log, where every time is a line, seldom."""
    return 0.5 if sys.stderr.isatty() else 10


def _is_current(folder: Path, plan: Plan) -> bool:
    try:
        manifest = manifest_in(folder)
    except ConfigurationError:
        return False
    files = {f.path: f.sha256 for f in manifest.files}
    same = manifest.revision == plan.revision and all(
        files.get(i.path) == (i.sha256 or files.get(i.path)) for i in plan.items
    )
    return same and len(files) == len(plan.items) and not problems_of(Pack(folder, manifest))


def _part(place: Staging, item: Item) -> Path:
    """Where a file grows. What an earlier version of this program began beside the pack's own files goes on here."""
    pinned = item.sha256 or item.md5 or ""
    part = place.folder / f"{item.path}.{pinned[:8]}.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    begun = place.current / f"{item.path}.part"
    if begun.is_file() and not part.exists():
        begun.replace(part)
    return part


async def _item(
    item: Item, to: Path, part: Path, slots: asyncio.Semaphore, bar: tqdm[Any], hashes: dict[str, str]
) -> None:
    reasons: list[str] = []
    async with slots:
        for label, bring in item.ways:
            try:
                sha256 = await _brought(item, bring, part, _Share(bar))
            except DownloadError as e:
                reasons.append(e.message)
                continue
            if sha256:
                hashes[item.path] = sha256
                part.replace(to)
                return
            kind = "SHA-256" if item.sha256 else "MD5"
            reasons.append(f"{item.path} arrived damaged from {label} ({kind} differs); it was removed. Run it again.")
    raise DownloadError(" ".join(reasons) or f"No source is known for {item.path}.")


async def _brought(item: Item, bring: Bring, part: Path, bar: Bar) -> str | None:
    """The SHA-256 of a file that has arrived and is right; None for one that is not, which is removed.

    The damage may be in what another source, or a run before, has begun: then all of it is brought once more.
    """
    begun = True
    while begun:
        begun = part.is_file() and part.stat().st_size > 0
        await bring(part, bar)
        sha256 = await asyncio.to_thread(sha256_of, part)
        if await asyncio.to_thread(_is_right, item, part, sha256):
            return sha256
        part.unlink()
    return None


class _Share:
    """One file's share of the progress of all."""

    def __init__(self, bar: tqdm[Any]) -> None:
        self._bar = bar
        self._n = 0.0

    @property
    def n(self) -> float:
        return self._n

    @n.setter
    def n(self, n: float) -> None:
        self._bar.n += n - self._n
        self._n = n

    def update(self, n: float) -> None:
        self._n += n
        self._bar.update(n)

    def refresh(self) -> None:
        self._bar.update(0)  # which is shown when it is time, unlike what is refreshed


def _is_right(item: Item, part: Path, sha256: str) -> bool:
    if item.sha256 is not None:
        return sha256 == item.sha256
    with part.open("rb") as f:
        return part.stat().st_size == item.size and hashlib.file_digest(f, "md5").hexdigest() == item.md5

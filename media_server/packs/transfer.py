"""Bringing one file over HTTP: resumed where it broke off, at most as long as it may be."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote, urlsplit

import aiohttp

from media_server.packs.local import PackError, disk_trouble

__all__ = ["Bar", "DownloadError", "HttpRoot", "Lacking", "bare", "http_session"]

CHUNK = 1 << 18
TRIES = 4
"""Tries in a row without a byte."""
FIRST_PAUSE_S = 0.5
"""Seconds before another try; doubled with each try that brought nothing."""
TEXT_LIMIT = 8 << 20


_HOPELESS = (
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    aiohttp.TooManyRedirects,
    aiohttp.ClientConnectorCertificateError,
)
"""What the next try would meet again."""


class DownloadError(PackError):
    """What could not be fetched, why, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = "download_failed"


class Lacking(DownloadError):
    """A source does not have what was asked of it, so that the next one may be tried."""


class Bar(Protocol):
    """Where progress is shown, in bytes."""

    n: Any

    def update(self, n: float) -> Any: ...
    def refresh(self) -> Any: ...


@asynccontextmanager
async def http_session(*, offline: bool = False) -> AsyncIterator[aiohttp.ClientSession]:
    """A session that takes proxies (`HTTPS_PROXY`, `NO_PROXY`) and `~/.netrc` from the environment.

    Args:
        offline: have every request fail with a `DownloadError`.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=60)
    tracing = aiohttp.TraceConfig()
    if offline:
        tracing.on_request_start.append(_refuse)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True, trace_configs=[tracing]) as session:
        yield session


async def _refuse(_: object, __: object, request: aiohttp.TraceRequestStartParams) -> None:
    raise DownloadError(f"{bare(str(request.url))} was not asked: nothing may be fetched (offline).")


class HttpRoot:
    """A server, and the path under which its files are.

    Args:
        headers: sent with each request, but not to another server that it redirects to.
    """

    def __init__(self, http: aiohttp.ClientSession, url: str, headers: Mapping[str, str] | None = None) -> None:
        self.url = url.rstrip("/")
        self._http = http
        self._headers = dict(headers or {})

    def at(self, path: str) -> str:
        return f"{self.url}/{quote(path, safe='/')}"

    async def text(self, url: str, accept: str = "*/*") -> tuple[str, str]:
        """A short text, and its type.

        Raises:
            DownloadError: it is not there, or too long, or the server cannot be reached.
        """
        try:
            async with self._http.get(url, headers={**self._headers, "Accept": accept}) as response:
                self._check(response, url)
                data = await response.content.read(TEXT_LIMIT + 1)
                while len(data) <= TEXT_LIMIT and (more := await response.content.read(TEXT_LIMIT + 1)):
                    data += more
                if len(data) > TEXT_LIMIT:
                    raise DownloadError(f"{bare(url)} is far too long for what it should be.")
                return data.decode(), response.content_type
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as e:
            raise DownloadError(_why(url, e)) from e
        except UnicodeDecodeError as e:
            raise DownloadError(f"{bare(url)} is not text.") from e

    async def bring(self, url: str, part: Path, size: int | None, bar: Bar) -> None:
        """Complete the file `part`, which may have its beginning already.

        Raises:
            DownloadError: what failed, after some tries; `part` is kept, so that the next run goes on.
        """
        tries = restarts = 0
        while True:
            before = _length(part)
            try:
                if await self._rest(url, part, size, bar):
                    return
                restarts += 1
                part.unlink(missing_ok=True)
                if restarts > 1:
                    raise DownloadError(f"{bare(url)} cannot be resumed, and ends before its end.")
            except (_Later, aiohttp.ClientError, TimeoutError, ConnectionError) as e:
                tries = tries + 1 if _length(part) <= before else 0
                hopeless = isinstance(e, _HOPELESS)
                if tries == TRIES or hopeless:
                    raise DownloadError(_why(url, e) + ("" if hopeless else " Run it again to go on.")) from e
                wait_s = e.wait_s if isinstance(e, _Later) and e.wait_s else FIRST_PAUSE_S * 2**tries
                await asyncio.sleep(min(wait_s, 60))

    async def _rest(self, url: str, part: Path, size: int | None, bar: Bar) -> bool:
        """Append what is missing of `part`. False: what is there cannot be continued."""
        have = _length(part)
        if size is not None and have >= size:
            if have > size:
                part.unlink()
                have = 0
            else:
                bar.n = have
                return True
        bar.n = have
        bar.refresh()
        etag = part.with_name(part.name + ".etag")
        headers = {**self._headers, "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if (known := _etag(etag, url)) is not None:
                headers["If-Range"] = known
        async with self._http.get(url, headers=headers) as response:
            if response.status == 416:
                return False
            self._check(response, url)
            if response.status == 206:
                if (start := _start(response)) != have:
                    raise DownloadError(f"{bare(url)} was asked for byte {have} on and sent byte {start} on.")
            else:
                have = bar.n = 0  # a server that cannot resume, or whose file has changed, sends all of it
            _check_length(response, url, size, have)
            strong = response.headers.get("ETag", "")
            if not strong.startswith('"'):
                etag.unlink(missing_ok=True)
            else:
                etag.write_text(f"{bare(url)}\n{strong}", "utf-8")
            with part.open("r+b" if have else "wb") as f:
                f.seek(have)
                async for chunk in response.content.iter_chunked(CHUNK):
                    have += len(chunk)
                    if size is not None and have > size:
                        raise DownloadError(_too_large(url))
                    await asyncio.to_thread(_write, f, chunk, part)
                    bar.update(len(chunk))
                await asyncio.to_thread(os.fsync, f.fileno())
        if size is not None and have < size:
            raise aiohttp.ClientPayloadError("the connection ended early")
        etag.unlink(missing_ok=True)
        return True

    def _check(self, response: aiohttp.ClientResponse, url: str) -> None:
        status, said = response.status, f"{bare(url)} answered {response.status} {response.reason}"
        if status in (200, 206):
            return
        if status in (404, 410):
            raise Lacking(f"{said}: it is not there. Is the source right?")
        if status in (401, 403):
            raise Lacking(f"{said}: {self._refused(status)}")
        if status in (408, 425, 429) or status >= 500:
            raise _Later(f"{said}: the server is busy or in trouble.", response.headers.get("Retry-After", ""))
        raise DownloadError(f"{said}. Is the source right?")

    def _refused(self, status: int) -> str:
        if "Authorization" not in self._headers:
            return "it wants to know who asks. Set HF_TOKEN to a token that may read it."
        if status == 401:
            return "the token in HF_TOKEN is not accepted; it may be mistyped or expired."
        return "the token in HF_TOKEN may not read it; perhaps its licence has to be agreed to at the source first."


class _Later(aiohttp.ClientError):
    """The server asks to be tried again."""

    def __init__(self, message: str, wait: str) -> None:
        super().__init__(message)
        self.wait_s = float(wait) if re.fullmatch(r"\d{1,4}", wait) else 0.0


def bare(url: str) -> str:
    """An address as it may be shown: without user and password, and without what signs a request."""
    try:
        parts = urlsplit(url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    except ValueError:
        return url.partition("?")[0]


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _etag(file: Path, url: str) -> str | None:
    """What this server said of the file when its beginning was fetched. Other servers name the same file otherwise."""
    if not file.is_file():
        return None
    source, _, known = file.read_text("utf-8", "replace").partition("\n")
    return known if source == bare(url) and known.isascii() and known.isprintable() else None


def _start(response: aiohttp.ClientResponse) -> int | None:
    matched = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if matched:
        return int(matched[1])
    wanted = re.match(r"bytes=(\d+)-", response.request_info.headers.get("Range", ""))
    return int(wanted[1]) if wanted else None  # a server that leaves the header out is believed; the checksum tells


def _check_length(response: aiohttp.ClientResponse, url: str, size: int | None, have: int) -> None:
    length = response.content_length
    if size is None or length is None or "Content-Encoding" in response.headers:
        return
    if have + length > size:
        raise DownloadError(_too_large(url))
    if have + length < size:
        page = response.content_type == "text/html"
        hint = " What came is a page: perhaps a proxy or the server wants a login." if page else ""
        raise DownloadError(f"{bare(url)} is smaller than the manifest says ({have + length} bytes, not {size}).{hint}")


def _too_large(url: str) -> str:
    return f"{bare(url)} is larger than the manifest says; it is another file, or the source is wrong."


def _write(f: BinaryIO, chunk: bytes, part: Path) -> None:
    try:
        f.write(chunk)
        f.flush()
    except OSError as e:
        raise PackError(disk_trouble(e, part)) from e


def _why(url: str, error: BaseException) -> str:
    shown = bare(url)
    if isinstance(error, aiohttp.TooManyRedirects):
        return f"{shown} redirects again and again. Is the source right?"
    if isinstance(error, aiohttp.NonHttpUrlClientError | aiohttp.InvalidUrlRedirectClientError):
        return f"{shown} redirects to what is no address on the web. Is the source right?"
    if isinstance(error, aiohttp.ClientPayloadError):
        return f"The download of {shown} broke off: the connection ended before the file did."
    if isinstance(error, aiohttp.InvalidURL):
        return f"{shown} is not an address; a source looks like http://models.example/packs."
    if isinstance(error, _Later):
        return str(error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"The certificate of {shown} is not trusted: set SSL_CERT_FILE to the file of your own authority."
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"The proxy answered {error.status} {error.message} for {shown}: look at HTTPS_PROXY and NO_PROXY."
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or error.os_error
        return f"Cannot reach {shown}: {reason}. Is there a network, and is the address right?"
    if isinstance(error, TimeoutError):
        return f"{shown} does not answer in time."
    return f"The download of {shown} broke off: {error or type(error).__name__}."

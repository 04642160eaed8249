"""HTTPS with a certificate that the server makes, or with another."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import aiohttp
import pytest

from media_server.caller import Caller
from media_server.config import Settings
from media_server.errors import ConfigurationError
from media_server.server import running_server
from media_server.tls import fingerprint, server_context


async def test_a_call_over_https_with_a_certificate_of_the_servers_own(tmp_path: Path) -> None:
    settings = Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", tls="auto", tls_dir=tmp_path / "tls")
    async with running_server(settings) as server:
        await server.ready(60)
        assert server.url.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=str(tmp_path / "tls" / "cert.pem"))
        async with aiohttp.ClientSession() as http:
            for host in ("127.0.0.1", "localhost"):
                url = server.url.replace("127.0.0.1", host)
                async with http.get(f"{url}/healthz", ssl=trusting) as response:
                    assert response.status == 200
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await http.get(f"{server.url}/healthz")
        caller = Caller(server.url)
        caller.verify = False
        async with caller:
            await caller.wait_for("call.started")


def test_the_certificate_is_kept_and_its_key_is_private(tmp_path: Path) -> None:
    _, certificate = server_context("auto", tmp_path)
    first = fingerprint(certificate)
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    server_context("auto", tmp_path)
    assert fingerprint(certificate) == first
    certificate.write_text("broken")
    server_context("auto", tmp_path)
    assert fingerprint(certificate) != first
    context, _ = server_context(f"{certificate},{tmp_path / 'key.pem'}", Path("nowhere"))
    assert isinstance(context, ssl.SSLContext)


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        ("yes", "tls has to be auto, or"),
        ("a,b,c", "tls has to be auto, or"),
        ("cert.pem,none.pem", "tls: none.pem cannot be read: No such file"),
        ("cert.pem,empty.pem", "tls: empty.pem is not a PEM file."),
        ("cert.pem,ca-key.pem", "tls: ca-key.pem is not the key of the certificate cert.pem."),
    ],
)
def test_a_certificate_that_is_none_is_an_error_with_a_sentence(
    tmp_path: Path, tls: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server_context("auto", tmp_path)
    Path("empty.pem").touch()
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        server_context(tls, tmp_path)


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    settings = Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", tls="auto", tls_dir=tmp_path / "file")
    with pytest.raises(ConfigurationError, match=r"cannot be kept in .*file \(tls_dir\)"):
        async with running_server(settings):
            pass

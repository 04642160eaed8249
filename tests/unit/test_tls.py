"""The authority that the server makes for itself."""

from __future__ import annotations

import ipaddress
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from media_server import tls
from media_server.tls import server_context

HERE = ["localhost", "box", "box.local", "127.0.0.1", "::1"]


def at(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(tls, "_names", lambda: [*HERE, *names])


def verify(folder: Path, *options: str) -> str:
    command = ["openssl", "verify", "-CAfile", str(folder / "ca.pem"), *options, str(folder / "cert.pem")]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_the_authority_outlasts_a_new_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, "192.168.1.7")
    server_context("auto", tmp_path)
    authority, first = (tmp_path / "ca.pem").read_bytes(), (tmp_path / "cert.pem").read_bytes()
    assert (tmp_path / "ca-key.pem").stat().st_mode & 0o777 == 0o600
    assert ": OK" in verify(tmp_path, "-verify_ip", "192.168.1.7", "-purpose", "sslserver")
    at(monkeypatch, "10.1.2.3")
    server_context("auto", tmp_path)
    assert (tmp_path / "ca.pem").read_bytes() == authority
    assert (tmp_path / "cert.pem").read_bytes() != first
    assert ": OK" in verify(tmp_path, "-verify_ip", "10.1.2.3")
    assert "OK" not in verify(tmp_path, "-verify_ip", "192.168.1.7")


def test_the_authority_cannot_vouch_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch)
    server_context("auto", tmp_path)
    authority = tls._authority(tmp_path)
    assert authority
    assert not tls._permits(authority[0], x509.DNSName("bank.example"))
    # forced to sign for a bank, its signature is worth nothing
    monkeypatch.setattr(tls, "_permits", lambda *_: True)
    tls._issue(tmp_path, ["bank.example", "203.0.113.9"])
    assert "permitted subtree violation" in verify(tmp_path)


def test_a_public_address_needs_a_new_authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch)
    server_context("auto", tmp_path)
    before = (tmp_path / "ca.pem").read_bytes()
    at(monkeypatch, "203.0.113.9")
    server_context("auto", tmp_path)
    assert (tmp_path / "ca.pem").read_bytes() != before
    assert ": OK" in verify(tmp_path, "-verify_ip", str(ipaddress.ip_address("203.0.113.9")))

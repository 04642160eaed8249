"""TLS: the operator's certificate, or one that the server makes for itself."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

import ifaddr
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from media_server.errors import ConfigurationError
from media_server.private import private_folder

__all__ = ["fingerprint", "server_context"]

VALID = datetime.timedelta(days=397)
"""What browsers accept at most."""
RENEW = datetime.timedelta(days=30)
"""Before it expires."""


def server_context(tls: str, folder: Path) -> tuple[ssl.SSLContext, Path]:
    """For the server's socket, and the file with the certificate. Reads and writes files.

    Args:
        tls: `auto`, or the paths of certificate and key with a comma between.
        folder: where the server keeps its own.

    Raises:
        ConfigurationError: a file that is missing or is not what it should be.
    """
    if tls == "auto":
        certificate, key = folder / "cert.pem", folder / "key.pem"
        if not _still_good(certificate, key):
            try:
                _make(certificate, key, _names())
            except OSError as e:
                raise ConfigurationError(f"The certificate cannot be kept in {folder} (tls_dir): {e}.") from e
    else:
        paths = [Path(p.strip()) for p in tls.split(",")]
        if len(paths) != 2:
            raise ConfigurationError("tls has to be auto, or the paths of certificate and key: cert.pem,key.pem.")
        certificate, key = paths
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as e:
        raise ConfigurationError(f"The certificate {certificate} with the key {key} cannot be used: {e}.") from e
    return context, certificate


def fingerprint(certificate: Path) -> str:
    """SHA-256, as browsers show it."""
    digest = x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256())
    return digest.hex(":").upper()


def _names() -> list[str]:
    """The names by which a browser in the same network may call this machine."""
    addresses = {str(ip.ip) for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str)}
    host = socket.gethostname()
    return [*dict.fromkeys(["localhost", host, f"{host}.local", "127.0.0.1", "::1", *sorted(addresses)])]


def _still_good(certificate: Path, key: Path) -> bool:
    if not certificate.is_file() or not key.is_file():
        return False
    try:
        made = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    left = made.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return left > RENEW and set(_alternatives(_names())) <= set(names)


def _alternatives(names: Sequence[str]) -> list[x509.GeneralName]:
    out: list[x509.GeneralName] = []
    for name in names:
        try:
            out.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            out.append(x509.DNSName(name))
    return out


def _make(certificate: Path, key: Path, names: Sequence[str]) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "media-server")])
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName(_alternatives(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=False)
        .sign(private, hashes.SHA256())
    )
    private_folder(certificate.parent)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # the key is nobody else's to read, from its first moment on
    with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))

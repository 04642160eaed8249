"""TLS: the operator's certificate, or one that the server makes, signed by an authority of its own.

The authority (`ca.pem`) outlasts the certificates, so that a phone has to trust it once. It can vouch for this
machine's names and for private addresses alone (name constraints, RFC 5280 section 4.2.1.10): with its key nobody can
pretend to be a bank.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from media_server.addresses import own_addresses
from media_server.errors import ConfigurationError
from media_server.private import private_folder

__all__ = ["check_tls", "fingerprint", "server_context"]

VALID = datetime.timedelta(days=397)
"""What browsers accept at most."""
RENEW = datetime.timedelta(days=30)
"""How long before it expires a certificate is made anew."""
AUTHORITY_VALID = datetime.timedelta(days=3650)
PRIVATE = [
    ipaddress.ip_network(network)
    for network in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7"),
    )
]
"""Networks whose addresses the authority may vouch for, beside those that this machine had when it was made."""


def server_context(tls: str, folder: Path) -> tuple[ssl.SSLContext, Path]:
    """The context for the server's socket, and the file with the certificate. Reads and writes files.

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
                _issue(folder, _names())
            except OSError as e:
                raise ConfigurationError(f"The certificate cannot be kept in {folder} (tls_dir): {e}.") from e
        return _context(certificate, key), certificate
    certificate, key = _own(tls)
    return _context(certificate, key), certificate


def check_tls(tls: str) -> None:
    """See to it that the operator's certificate can be used, before anything is begun; makes nothing.

    Raises:
        ConfigurationError: as `server_context`.
    """
    if tls not in ("", "auto"):
        _context(*_own(tls))


def _own(tls: str) -> tuple[Path, Path]:
    paths = [Path(p.strip()) for p in tls.split(",")]
    if len(paths) != 2:
        raise ConfigurationError("tls has to be auto, or the paths of certificate and key: cert.pem,key.pem.")
    return paths[0], paths[1]


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as e:  # also of ssl
        raise ConfigurationError(_unusable(certificate, key, e)) from e
    return context


def _unusable(certificate: Path, key: Path, failed: OSError) -> str:
    """Why a certificate and its key cannot be used, for what `ssl` raised."""
    for file in (certificate, key):
        try:
            if b"-----BEGIN " not in file.read_bytes():
                return f"tls: {file} is not a PEM file."
        except OSError as e:
            return f"tls: {file} cannot be read: {e.strerror}."
    if getattr(failed, "reason", "") == "KEY_VALUES_MISMATCH":
        return f"tls: {key} is not the key of the certificate {certificate}."
    return f"tls: the certificate {certificate} with the key {key} cannot be used: {failed}."


def fingerprint(certificate: Path) -> str:
    """SHA-256, as browsers show it."""
    digest = x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256())
    return digest.hex(":").upper()


def _names() -> list[str]:
    """The names by which a browser in the same network may call this machine."""
    host = socket.gethostname()
    return [*dict.fromkeys(["localhost", host, f"{host}.local", "127.0.0.1", "::1", *own_addresses()])]


def _still_good(certificate: Path, key: Path) -> bool:
    if not all(file.is_file() for file in (certificate, key, certificate.with_name("ca.pem"))):
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


def _issue(folder: Path, names: Sequence[str]) -> None:
    """Write `cert.pem` and `key.pem` for these names, and an authority where there is none that may vouch for them."""
    private_folder(folder)
    alternatives = _alternatives(names)
    authority = _authority(folder)
    if authority is None or not all(_permits(authority[0], name) for name in alternatives):
        authority = _make_authority(folder, alternatives)
    issuer, issuer_key = authority
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        _builder("media-server", issuer.subject, key.public_key(), VALID)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    _write_key(folder / "key.pem", key)
    (folder / "cert.pem").write_bytes(_pem(made) + _pem(issuer))


def _authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
    """The one that is there, if it is good for as long as a certificate."""
    try:
        certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        key = serialization.load_pem_private_key((folder / "ca-key.pem").read_bytes(), None)
        certificate.extensions.get_extension_for_class(x509.NameConstraints)
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound):
        return None
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    matches = isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == certificate.public_key()
    return (certificate, key) if matches and left > VALID and isinstance(key, ec.EllipticCurvePrivateKey) else None


def _make_authority(
    folder: Path, names: Sequence[x509.GeneralName]
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = f"media-server on {socket.gethostname()}"[:64]
    permitted: list[x509.GeneralName] = [x509.IPAddress(network) for network in PRIVATE]
    for each in names:
        if isinstance(each, x509.DNSName):
            permitted.append(each)
        elif isinstance(each, x509.IPAddress) and not any(each.value in network for network in PRIVATE):
            permitted.append(x509.IPAddress(ipaddress.ip_network(str(each.value))))
    usage = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    )
    made = (
        _builder(name, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key.public_key(), AUTHORITY_VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(
            x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write_key(folder / "ca-key.pem", key)
    (folder / "ca.pem").write_bytes(_pem(made))
    return made, key


def _permits(authority: x509.Certificate, name: x509.GeneralName) -> bool:
    permitted = authority.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    if isinstance(name, x509.IPAddress):
        address = ipaddress.ip_address(str(name.value))
        networks = (ipaddress.ip_network(str(each.value)) for each in permitted if isinstance(each, x509.IPAddress))
        return any(address in network for network in networks)
    return name in permitted


def _builder(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey, valid: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + valid)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    # it is nobody else's to read, from its first moment on
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(pem)

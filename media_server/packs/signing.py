"""Signatures of bundles: Ed25519 (RFC 8032), with keys in PEM files."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from media_server.packs.installer import Verify
from media_server.packs.local import PackError

__all__ = ["signer", "verifier"]

HOW = (
    "`openssl genpkey -algorithm ed25519 -out private.pem` makes one, and "
    "`openssl pkey -in private.pem -pubout -out public.pem` the public key for it."
)


def signer(path: Path) -> Ed25519PrivateKey:
    """The private key in a PEM file.

    Raises:
        PackError: it is not one.
    """
    try:
        key = load_pem_private_key(_read(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise PackError(f"{path} is not an Ed25519 private key without a passphrase in PEM form. {HOW}") from e
    if not isinstance(key, Ed25519PrivateKey):
        raise PackError(f"{path} is a private key of another kind than Ed25519. {HOW}")
    return key


def verifier(path: Path) -> Verify:
    """A check of signatures with the public key in a PEM file.

    Raises:
        PackError: it is not one.
    """
    try:
        key = load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm) as e:
        raise PackError(f"{path} is not an Ed25519 public key in PEM form. {HOW}") from e
    if not isinstance(key, Ed25519PublicKey):
        raise PackError(f"{path} is a public key of another kind than Ed25519. {HOW}")

    def verify(message: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return verify


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise PackError(f"The key {path} cannot be read: {e.strerror or e}.") from e

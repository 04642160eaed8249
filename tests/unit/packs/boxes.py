"""A bundle of the starter pack, and what tests do with one."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from media_server.engines.packs import load_pack
from media_server.packs import bundle as making
from media_server.packs.installer import Bundle, install_pack


def create(output: Path, key: Ed25519PrivateKey | None = None) -> Path:
    making.write(making.plan(load_pack("starter", Path("none")), output, key=key))
    return output


def install(box: Path, models: Path) -> None:
    with Bundle(box) as bundle:
        install_pack(bundle, models)


def assert_nothing_installed(models: Path) -> None:
    assert not (models / "starter").exists()


@contextlib.contextmanager
def limited(size: int) -> Iterator[None]:
    """Files can grow to this many bytes only, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

"""The installer that travels in every bundle. It needs the standard library only, so that it runs on a bare machine."""

from .bundle import MANIFEST, SIGNATURE, Bundle, Contents, Entry, Progress, Verify, Wheels, read_contents
from .commands import describe
from .errors import BundleError
from .place import install_pack
from .programs import cpu_features, obstacles

__all__ = [
    "MANIFEST",
    "SIGNATURE",
    "Bundle",
    "BundleError",
    "Contents",
    "Entry",
    "Progress",
    "Verify",
    "Wheels",
    "cpu_features",
    "describe",
    "install_pack",
    "obstacles",
    "read_contents",
]

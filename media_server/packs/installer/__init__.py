"""The installer that travels in every bundle. It needs the standard library only, so that it runs on a bare machine."""

from .bundle import MANIFEST, SIGNATURE, Bundle, Contents, Entry, Progress, Verify, Wheels
from .errors import BundleError
from .place import install_pack

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
    "install_pack",
]

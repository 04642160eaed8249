"""How this process gives back memory, and how often it looks for garbage."""

from __future__ import annotations

import contextlib
import ctypes
import gc

__all__ = ["settle_memory"]

THRESHOLDS = 2000, 5, 5
"""Objects more than there were, before the youngest are looked through; rounds before the older are, and the oldest."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's settings for `mallopt` (`malloc.h`)."""
LARGE_BYTES = 256 * 1024


def settle_memory() -> None:
    """Take what there is now for what stays, and give back what is large when it is no longer used.

    Call it once, when all is loaded. To look through the modules and models for garbage would stop all sound for 0.1 s
    each time. Packets make objects by the thousand, and hardly any garbage that counting references leaves: with
    Python's own 700 objects, looking for it is a twelfth of what ten calls take.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    _give_back_what_is_large()


def _give_back_what_is_large() -> None:
    """Keep glibc from learning to hold on to large blocks.

    After the first block of 14 MB was freed it takes the next from the heap, where a small object behind it keeps all
    of it from the system for good: one client's large message would cost up to 80 MB until the server ends. To set a
    threshold once is what stops that learning (`man mallopt`, "M_MMAP_THRESHOLD").
    """
    with contextlib.suppress(OSError, AttributeError):  # musl and other systems have no such setting, and no need of it
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, LARGE_BYTES)

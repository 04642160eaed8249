"""How often Python looks for garbage: as seldom as a server of many calls needs it."""

from __future__ import annotations

import gc

__all__ = ["settle_garbage"]

THRESHOLDS = 2000, 5, 5
"""Objects more than there were, before the youngest are looked through; rounds before the older are, and the oldest."""


def settle_garbage() -> None:
    """Take what there is now for what stays. Call it once, when all is loaded.

    To look through the modules and models would stop all sound for 0.1 s each time. Packets make objects by the
    thousand, and hardly any garbage that counting references leaves: with Python's own 700 objects, looking for it is a
    twelfth of what ten calls take.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)

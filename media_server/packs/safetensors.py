"""Reading tensors from files in the form of safetensors.

The form: eight bytes with the length of a JSON head, the head, and the data that it points into.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media_server.packs.local import PackError

__all__ = ["Tensors"]

HEAD_LIMIT = 100 << 20
TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "U8": "u1"}


@dataclass(frozen=True, slots=True)
class _Place:
    path: Path
    kind: str
    shape: tuple[int, ...]
    offset: int


class Tensors:
    """The tensors of one or several files, read when they are asked for."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Read the heads.

        Raises:
            PackError: a file is damaged or not complete.
        """
        self._places: dict[str, _Place] = {}
        for path in paths:
            try:
                self._places |= _head(path)
            except (ValueError, KeyError, TypeError, AttributeError) as e:
                raise PackError(f"{path.name} is damaged: its head is not that of a safetensors file.") from e
            except OSError as e:
                raise PackError(f"{path} cannot be read: {e.strerror or e}.") from e

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def __getitem__(self, name: str) -> NDArray[Any]:
        """A tensor as it is stored, or as 32-bit floats where NumPy does not know its type.

        Raises:
            PackError: there is none of that name.
        """
        place = self._places.get(name)
        if place is None:
            raise PackError(f"The model lacks the tensor {name}; it is not the Whisper that its config.json describes.")
        count = math.prod(place.shape)
        kind = np.dtype(TYPES[place.kind])
        with place.path.open("rb") as f:
            f.seek(place.offset)
            data = np.fromfile(f, kind, count)
        if len(data) < count:
            raise PackError(f"{place.path.name} is not complete.")
        if place.kind == "BF16":  # the upper half of a 32-bit float
            data = (data.astype(np.uint32) << 16).view(np.float32)
        return data.reshape(place.shape)


def _head(path: Path) -> dict[str, _Place]:
    size = path.stat().st_size
    with path.open("rb") as f:
        first = f.read(8)
        if len(first) < 8:
            raise PackError(f"{path.name} is empty or not complete.")
        (length,) = struct.unpack("<Q", first)
        if length > min(size, HEAD_LIMIT):
            raise PackError(f"{path.name} is not a safetensors file, or not complete.")
        head = json.loads(f.read(length))
    places = {}
    for name, entry in head.items():
        if name == "__metadata__":
            continue
        shape, (start, end) = tuple(int(n) for n in entry["shape"]), entry["data_offsets"]
        if entry["dtype"] not in TYPES:
            raise PackError(f"{path.name} has weights of the type {entry['dtype']}, which cannot be converted.")
        if min(shape, default=0) < 0 or math.prod(shape) * np.dtype(TYPES[entry["dtype"]]).itemsize != end - start:
            raise ValueError(name)
        if 8 + length + end > size:
            raise PackError(f"{path.name} is not complete: it has {size} bytes of {8 + length + end} or more.")
        places[name] = _Place(path, entry["dtype"], shape, 8 + length + start)
    return places

"""Models in ONNX, loaded for a host."""

from __future__ import annotations

import contextlib
import io
import logging
from pathlib import Path

import onnxruntime

__all__ = ["load_onnx"]

log = logging.getLogger(__name__)

CUDA = "CUDAExecutionProvider"
ON_CUDA = (CUDA, {"cudnn_conv_algo_search": "HEURISTIC"})
"""The default tries every algorithm for every new length of sound, which takes longer than to compute it."""


def load_onnx(model: str | Path | bytes, threads: int, device: str = "cpu") -> onnxruntime.InferenceSession:
    """Load a file, or what was read from one.

    Args:
        device: cpu, or anything else for CUDA where onnxruntime has it. These models are small: the CPU will do.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # threads that spin between requests would burn the cores that the other engines need
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    given = model if isinstance(model, bytes) else str(model)
    if device == "cpu" or CUDA not in onnxruntime.get_available_providers():
        return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    options.log_severity_level = 3  # it warns of what is as it has to be
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
        onnxruntime.preload_dlls()
    session = onnxruntime.InferenceSession(given, options, providers=[ON_CUDA, "CPUExecutionProvider"])
    if CUDA not in session.get_providers():
        log.warning("onnxruntime-gpu cannot use this machine's CUDA or cuDNN (another version?); the CPU is used")
    return session

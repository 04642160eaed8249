"""Models in ONNX, loaded for a host."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

__all__ = ["load_onnx"]


def load_onnx(model: str | Path | bytes, threads: int, device: str = "cpu") -> onnxruntime.InferenceSession:
    """Load a file, or what was read from one.

    Args:
        device: cpu, cuda, or auto for whichever there is.

    Raises:
        RuntimeError: there is no CUDA.
    """
    cuda = device != "cpu" and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if device == "cuda" and not cuda:
        raise RuntimeError("onnxruntime was installed without CUDA; install onnxruntime-gpu or use device = 'cpu'")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # threads that spin between requests would burn the cores that the other engines need
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = ["CUDAExecutionProvider"] if cuda else ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(model if isinstance(model, bytes) else str(model), options, providers=providers)

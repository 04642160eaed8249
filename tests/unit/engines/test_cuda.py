"""What engines make of a machine's GPU, or of its lack; none is needed for these."""

from __future__ import annotations

import importlib.util
import logging
import shutil
from pathlib import Path

import ctranslate2
import pytest

from media_server.config import Settings
from media_server.doctor import _devices
from media_server.engines import cuda, whisper
from media_server.engines.client import EngineClient
from media_server.engines.loading import Tuning, load_model
from media_server.engines.onnx import CUDA, load_onnx
from media_server.engines.silero import model_file
from media_server.errors import ConfigurationError
from tests.conftest import STARTER

no_gpu = pytest.mark.skipif(bool(ctranslate2.get_cuda_device_count()), reason="this machine has a GPU")


@pytest.fixture
def gpu_without_cublas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 1)
    monkeypatch.setattr(cuda, "CUBLAS", ("libno-such-cublas.so.12",))
    cuda.load_cublas.cache_clear()


@pytest.fixture(autouse=True)
def _forget() -> None:
    cuda.load_cublas.cache_clear()


def test_cublas_is_found_in_nvidias_python_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = importlib.util.find_spec("llama_cpp")
    assert spec is not None
    assert spec.origin is not None
    folder = tmp_path / "nvidia" / "cublas" / "lib"
    folder.mkdir(parents=True)
    monkeypatch.setattr(cuda, "CUBLAS", ("libcublas-of-a-test.so.12",))
    assert not cuda.load_cublas()
    cuda.load_cublas.cache_clear()
    shutil.copy(Path(spec.origin).parent / "lib" / "libggml-base.so", folder / "libcublas-of-a-test.so.12")
    monkeypatch.syspath_prepend(tmp_path)
    assert cuda.load_cublas()


@pytest.mark.usefixtures("gpu_without_cublas")
def test_a_gpu_without_cublas_is_not_used_unless_it_is_insisted_on(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert whisper._device("auto") == "cpu"
    assert "speech recognition runs on the CPU" in caplog.text
    assert "nvidia-cublas-cu12" in caplog.text
    with pytest.raises(cuda.NoGpuError, match="cuBLAS"):
        whisper._device("cuda")


@pytest.mark.usefixtures("gpu_without_cublas")
def test_the_doctor_names_the_package_that_is_missing() -> None:
    found = {f.text: f for f in _devices(Settings(device="cuda"))}
    assert found["speech recognition: CPU"].level == "bad"
    assert "pip install nvidia-cublas-cu12" in found["speech recognition: CPU"].remedy
    assert found["voice: CPU, which is faster than speech"].level == "ok"
    (note,) = (f for f in _devices(Settings(device="auto")) if f.text == "speech recognition: CPU")
    assert note.level == "note"


@no_gpu
def test_the_doctor_says_that_there_is_no_gpu() -> None:
    findings = _devices(Settings(device="cuda"))
    assert [f.level for f in findings] == ["bad", "bad", "ok"]
    assert all(cuda.NO_GPU in f.remedy for f in findings[:2])
    (fine,) = _devices(Settings(device="auto"))
    assert fine.level == "ok"


@no_gpu
def test_what_onnxruntime_cannot_do_with_cuda_is_done_on_the_cpu() -> None:
    assert CUDA not in load_onnx(model_file(), 1, "cuda").get_providers()


@no_gpu
def test_a_language_model_that_must_have_a_gpu_is_not_loaded_without() -> None:
    with pytest.raises(cuda.NoGpuError):
        load_model(STARTER / "chat" / "starter-chat.gguf", 128, 1, "cuda", 1, Tuning())


@no_gpu
async def test_an_engine_that_must_have_a_gpu_says_what_to_do() -> None:
    engine = EngineClient("stt", {"path": str(STARTER / "stt"), "device": "cuda"})
    with pytest.raises(ConfigurationError, match=r"cannot run on a GPU: there is no NVIDIA GPU.*--device auto"):
        await engine.run()


@pytest.mark.parametrize(
    ("supported", "chosen"),
    [
        ({"float16", "int8_float16", "int8_float32", "float32"}, "float16"),
        ({"int8_float32", "float32", "int8"}, "int8_float32"),
        ({"float32"}, "float32"),
    ],
)
def test_an_old_gpu_gets_numbers_that_it_can_multiply(
    monkeypatch: pytest.MonkeyPatch, supported: set[str], chosen: str
) -> None:
    monkeypatch.setattr(ctranslate2, "get_supported_compute_types", lambda device: supported)
    assert whisper._compute_type("cuda") == chosen
    assert whisper._compute_type("cpu") == "int8"

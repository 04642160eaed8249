"""Which compiled llama.cpp an installation keeps."""

from __future__ import annotations

import runpy
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "compile_llama.py"
compile_llama = SimpleNamespace(**runpy.run_path(str(SCRIPT)))
VERSION = next(
    line.partition("==")[2]
    for line in compile_llama.CONSTRAINTS.read_text().splitlines()
    if line.startswith("llama_cpp_python==")
)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would have been run to compile."""
    given: list[list[str]] = []
    started = subprocess.Popen

    def pretend(command: list[str], **options: Any) -> subprocess.Popen[str]:
        given.append(command)
        return started(["true"], **options)

    monkeypatch.setattr(subprocess, "Popen", pretend)
    return given


def wheel(folder: Path, *libraries: str) -> Path:
    path = folder / f"llama_cpp_python-{VERSION}-py3-none-linux_x86_64.whl"
    with zipfile.ZipFile(path, "w") as z:
        for library in libraries:
            z.writestr(f"llama_cpp/lib/{library}", "")
    return path


@pytest.mark.parametrize(
    ("options", "libraries", "kept"),
    [
        ("", ["libggml-cpu.so"], True),
        ("-DGGML_CUDA=OFF", ["libggml-cpu.so"], True),
        ("-DGGML_CUDA=on", ["libggml-cpu.so"], False),
        ("-DGGML_CUDA=on", ["libggml-cpu.so", "libggml-cuda.so"], True),
        ("", ["libggml-cuda.so"], True),
    ],
)
def test_a_wheel_is_kept_unless_it_lacks_cuda(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    commands: list[list[str]],
    options: str,
    libraries: list[str],
    kept: bool,
) -> None:
    monkeypatch.setenv("CMAKE_ARGS", options)
    path = wheel(tmp_path, *libraries)
    assert compile_llama.main(tmp_path) == 0
    assert path.exists() is kept
    assert bool(commands) is not kept


def test_what_pip_built_with_other_options_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, commands: list[list[str]]
) -> None:
    monkeypatch.setenv("CMAKE_ARGS", "-DGGML_CUDA=on")
    compile_llama.main(tmp_path)
    assert "--no-cache-dir" in commands[0]
    monkeypatch.delenv("CMAKE_ARGS")
    compile_llama.main(tmp_path)
    assert "--no-cache-dir" not in commands[1]

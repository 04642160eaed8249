"""The programs in a bundle: for which machine, what they need of it, under which licence."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from media_server.engines.packs import load_pack
from media_server.packs.elf import glibc_of, needed_by
from media_server.packs.installer import Wheels, obstacles
from media_server.packs.licences import licence_files, licence_text
from media_server.packs.local import PackError
from media_server.packs.wheels import Target, gather, here, lacking_for, own_wheel


def wheel(folder: Path, name: str, *lines: str, tag: str = "py3-none-any", **files: str) -> Path:
    """A wheel with this metadata."""
    path = folder / f"{name}-1.0-{tag}.whl"
    head = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0"]
    metadata = "\n".join([*head, *lines, "", "Long text", "License: no"])
    with zipfile.ZipFile(path, "w") as z:
        z.writestr(f"{name}-1.0.dist-info/METADATA", metadata)
        for at, text in files.items():
            z.writestr(f"{name}-1.0.dist-info/{at}", text)
    return path


def fits(**needs: object) -> Wheels:
    machine = here()
    values = {"version": "1", "python": machine.python, "platform": machine.platform, "glibc": "2.17"}
    return Wheels(**{**values, "cpu": (), "libraries": (), **needs})  # type: ignore[arg-type]


def test_wheels_of_older_systems_run_on_newer_ones() -> None:
    platforms = Target("3.12", "manylinux_2_28_x86_64").platforms
    assert platforms[0] == "manylinux_2_28_x86_64"
    assert {"manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64", "linux_x86_64"} <= set(platforms)
    assert not [p for p in platforms if "_2_29_" in p or "aarch64" in p]
    assert "manylinux1_aarch64" not in Target("3.11", "manylinux_2_34_aarch64").platforms


@pytest.mark.parametrize(
    ("python", "platform"),
    [("3.10", "manylinux_2_28_x86_64"), ("2.7", "manylinux_2_28_x86_64"), ("x", "manylinux_2_28_x86_64"),
     ("3.11", "win_amd64"), ("3.11", "manylinux_2_28"), ("3.11", "linux"), ("3.11", "../x")],
)  # fmt: skip
def test_targets_that_cannot_be_are_refused(python: str, platform: str) -> None:
    with pytest.raises(PackError, match=r"3\.11 is the oldest|look like manylinux_2_28_x86_64"):
        Target(python, platform)


def test_what_cannot_be_had_for_another_processor_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"no wheel of llama-cpp-python==[\d.]+ .*_aarch64.*pip wheel .*--wheel FILE"):
        gather(tmp_path, Target("3.11", "manylinux_2_28_aarch64"))


def test_what_was_compiled_for_a_newer_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"llama_cpp_python.* needs glibc 2\.\d+, newer than that of manylinux_2_5_x86"):
        gather(tmp_path, Target(here().python, "manylinux_2_5_x86_64"))


def test_a_wheel_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="is not a wheel"):
        gather(tmp_path, here(), given=[Path(__file__)])


def test_what_is_installed_becomes_a_wheel_again(tmp_path: Path) -> None:
    from media_server.packs.wheels import _repacked

    made = _repacked(importlib.metadata.distribution("llama-cpp-python"), tmp_path)
    assert made.name.endswith("-py3-none-linux_x86_64.whl")
    major, minor = glibc_of(made)
    assert (2, 17) <= (major, minor) <= here().glibc
    assert "libstdc++.so.6" in needed_by(made)
    assert not [name for name in needed_by(made) if "ggml" in name or name.startswith("libc.")]
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target"]
    subprocess.run([*install, str(tmp_path / "t"), str(made)], check=True)
    code = "import llama_cpp; print(llama_cpp.__file__, llama_cpp.llama_supports_gpu_offload())"
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "t", check=True, capture_output=True, text=True)
    assert str(tmp_path) in ran.stdout


@pytest.mark.slow
def test_the_wheel_of_this_project_has_what_bundles_are_made_with(tmp_path: Path) -> None:
    with zipfile.ZipFile(own_wheel(tmp_path)) as z:
        names = set(z.namelist())
    assert {"media_server/_constraints.txt", "media_server/packs/installer/install.py"} <= names


def test_glibc_is_read_from_the_name_of_a_wheel(tmp_path: Path) -> None:
    tags = {
        "cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64": (2, 17),
        "cp311-abi3-manylinux_2_34_x86_64": (2, 34),
        "cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64": (2, 27),
        "py3-none-any": (0, 0),
    }
    for tag, version in tags.items():
        assert glibc_of(wheel(tmp_path, "x", tag=tag)) == version


def test_what_another_python_needs_is_found_missing(tmp_path: Path) -> None:
    needs = [
        'Requires-Dist: newer>=2; python_version >= "3.13"',
        'Requires-Dist: older; python_version < "3.13"',
        'Requires-Dist: optional; extra == "more"',
        'Requires-Dist: windows; sys_platform == "win32"',
        "Requires-Dist: Name_With.Dots",
    ]
    wheel(tmp_path, "one", *needs)
    wheel(tmp_path, "name-with-dots")
    assert lacking_for(tmp_path, Target("3.13", "manylinux_2_28_x86_64")) == ["newer>=2"]
    assert lacking_for(tmp_path, Target("3.12", "manylinux_2_28_x86_64")) == ["older"]


def test_a_machine_that_fits_has_no_obstacles() -> None:
    assert obstacles(fits(libraries=("libc.so.6",))) == []


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ({"python": "3.99"}, r"for Python 3\.99, and there is 3\.\d+ here"),
        ({"platform": "manylinux_2_28_sparc"}, r"are for manylinux_2_28_sparc; this machine is linux_"),
        ({"glibc": "9.1"}, r"need glibc 9\.1 or newer; this machine has 2\."),
        ({"cpu": ("imaginary",)}, r"a processor with imaginary, which this one lacks.*--portable"),
        ({"libraries": ("libnowhere.so.9",)}, r"lacks the library libnowhere\.so\.9"),
    ],
)
def test_what_a_machine_lacks_is_a_sentence(needs: dict[str, object], said: str) -> None:
    import re

    (told,) = obstacles(fits(**needs))
    assert re.search(said, told)


def test_licences_are_taken_from_the_metadata(tmp_path: Path) -> None:
    wheels = [
        wheel(tmp_path, "a", "License-Expression: MIT", **{"licenses/LICENSE.txt": "text of a"}),
        wheel(tmp_path, "b", "License: BSD", "Classifier: License :: OSI Approved :: BSD License"),
        wheel(tmp_path, "c", "Classifier: License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)"),
        wheel(tmp_path, "d", "License: A very\n  long\n  text", COPYING="text of d", RECORD=""),
        wheel(tmp_path, "e", "License-Expression: GPL-3.0-or-later"),
        wheel(tmp_path, "f", "License-Expression: LGPL-2.1-only", **{"licenses/../../evil": "x"}),
    ]
    text = licence_text(load_pack("starter", Path("none")), wheels)
    found = dict(line.split(maxsplit=1) for line in text.splitlines() if "==1.0" in line and line.startswith("  "))
    assert found == {
        "a==1.0": "MIT", "b==1.0": "BSD", "c==1.0": "Mozilla Public License 2.0 (MPL 2.0)", "d==1.0": "see its files",
        "e==1.0": "GPL-3.0-or-later", "f==1.0": "LGPL-2.1-only",
    }  # fmt: skip
    assert "Under the GPL: e==1.0. " in text
    files = licence_files(wheels)
    assert files["a-1.0/LICENSE.txt"] == b"text of a"
    assert files["d-1.0/COPYING"] == b"text of d"
    assert not [name for name in files if ".." in name.split("/") or "RECORD" in name]

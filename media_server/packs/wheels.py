"""Gathering the programs for a bundle: this project's wheel and those of all that it needs, for a named platform."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from media_server import __version__
from media_server.packs.elf import glibc_of, needed_by
from media_server.packs.installer import Wheels, cpu_features
from media_server.packs.licences import read_metadata
from media_server.packs.local import PackError
from media_server.paths import CHECKOUT, CONSTRAINTS

__all__ = ["Target", "gather", "here"]

BUILT = "llama-cpp-python"
"""The dependency that the Python registry has as source only, so that it is compiled where the bundle is made."""
PORTABLE = "-DGGML_NATIVE=OFF -DLLAMA_OPENSSL=OFF"
PORTABLE_CPU = {"x86_64": ("avx", "avx2", "bmi2", "f16c", "fma", "sse4_2")}
"""What llama.cpp asks of a processor when it is not compiled for the one at hand."""
TELLING = re.compile(r"(sse4_2|avx.*|fma|f16c|bmi[12]|amx_.*|asimd.*|sve.*|i8mm|bf16|fphp)")
"""Features of processors that make a difference for what was compiled."""
OLD_PLATFORMS = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
OLDEST = {"x86_64": 5}
"""Minor version of the oldest glibc that wheels are made for; 17 for other machines."""


@dataclass(frozen=True, slots=True)
class Target:
    """The kind of machine that a bundle is for."""

    python: str
    """Major and minor version."""
    platform: str
    """The platform as pip names it, like `manylinux_2_28_x86_64`."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"3\.\d+", self.python) or int(self.python[2:]) < 11:
            raise PackError(f"{self.python!r} is no Python that the server runs on; 3.11 is the oldest.")
        if not re.fullmatch(r"manylinux_2_\d+_\w+", self.platform):
            raise PackError(
                f"{self.platform!r} is not a platform that bundles are made for; they look like "
                "manylinux_2_28_x86_64: the oldest glibc that the machine may have, and its processor."
            )

    @property
    def machine(self) -> str:
        return self.platform.split("_", 3)[3]

    @property
    def glibc(self) -> tuple[int, int]:
        return 2, int(self.platform.split("_")[2])

    @property
    def platforms(self) -> list[str]:
        """All platforms whose wheels run there."""
        oldest = OLDEST.get(self.machine, 17)
        versions = [(2, minor) for minor in range(self.glibc[1], oldest - 1, -1)]
        named = [f"manylinux_{major}_{minor}_{self.machine}" for major, minor in versions]
        old = [f"{OLD_PLATFORMS[v]}_{self.machine}" for v in versions if v in OLD_PLATFORMS]
        return [*named, *old, f"linux_{self.machine}"]


def here() -> Target:
    """This machine."""
    library, version = platform.libc_ver()
    if library != "glibc":
        raise PackError("Wheels can be gathered on Linux with glibc only, which this machine does not have.")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Target(python, f"manylinux_{'_'.join(version.split('.')[:2])}_{platform.machine()}")


def gather(
    folder: Path, target: Target, *, extras: Sequence[str] = (), given: Sequence[Path] = (), portable: bool = False
) -> Wheels:
    """Put the wheels into `folder`, which is empty, and say what a machine needs to run them.

    Args:
        target: the machine that they are for.
        extras: of this project, like `postgresql`.
        given: wheels that were built elsewhere, for what the registry does not have.
        portable: have llama.cpp compiled for any processor of the last ten years, not for this one.

    Raises:
        PackError: names what cannot be had, and says what to do.
    """
    folder = folder.resolve()
    inputs = folder / "inputs"
    inputs.mkdir()
    for file in given:
        if file.suffix != ".whl" or not file.is_file():
            raise PackError(f"{file} is not a wheel.")
        shutil.copy(file, inputs)
    is_given = _of(BUILT, inputs) is not None
    if not is_given and target.machine != here().machine:
        raise PackError(_cannot_be_had(f"{BUILT}=={_pinned(BUILT)}", target))
    own = own_wheel(inputs)
    if not is_given:
        built = _portable(target) if portable else _built(inputs)
        if built.parent != inputs:
            shutil.copy(built, inputs)
    wheel = _of(BUILT, inputs)
    assert wheel is not None
    if (glibc := glibc_of(wheel)) > target.glibc:
        raise PackError(
            f"{wheel.name} needs glibc {glibc[0]}.{glibc[1]}, newer than that of {target.platform}. Take "
            f"--platform manylinux_{glibc[0]}_{glibc[1]}_{target.machine}, or build it on an older machine "
            f"(pip wheel --no-deps {BUILT}=={_pinned(BUILT)}) and add it with --wheel FILE."
        )
    out = folder / "wheels"
    requirement = f"media-server[{','.join(extras)}] @ {own.as_uri()}" if extras else str(own)
    command = ["download", "--only-binary=:all:", "--implementation", "cp", "--python-version", target.python]
    command += [f"--platform={p}" for p in target.platforms]
    _pip(
        [*command, "--dest", str(out), "--find-links", str(inputs), "-c", str(CONSTRAINTS), requirement, "pip"], target
    )
    shutil.rmtree(inputs)
    wheels = sorted(out.glob("*.whl"))
    glibc = max(glibc_of(w) for w in wheels)
    cpu: Iterable[str] = ()
    if not is_given:
        features = PORTABLE_CPU.get(target.machine, ()) if portable else filter(TELLING.fullmatch, cpu_features())
        cpu = sorted(features)
    libraries = {"libstdc++.so.6", *needed_by(out / wheel.name)}
    return Wheels(
        version=__version__,
        python=target.python,
        platform=target.platform,
        glibc=f"{glibc[0]}.{glibc[1]}",
        cpu=tuple(cpu),
        libraries=tuple(sorted(libraries)),
    )


def lacking_for(folder: Path, target: Target) -> list[str]:
    """What the wheels in a folder need on a target and is not among them."""
    # pip is what fetches them, and it has this library inside
    from pip._vendor.packaging.markers import default_environment
    from pip._vendor.packaging.requirements import Requirement
    from pip._vendor.packaging.utils import canonicalize_name

    there = default_environment() | {
        "python_version": target.python,
        "python_full_version": f"{target.python}.0",
        "implementation_version": f"{target.python}.0",
        "platform_machine": target.machine,
        "extra": "",
    }
    described = [read_metadata(wheel) for wheel in folder.glob("*.whl")]
    present = {canonicalize_name(str(each["Name"])) for each in described}
    needed = [Requirement(text) for each in described for text in each.get_all("Requires-Dist", [])]
    return sorted(
        {
            f"{r.name}{r.specifier}"
            for r in needed
            if (r.marker is None or r.marker.evaluate(there)) and canonicalize_name(r.name) not in present
        }
    )


def own_wheel(folder: Path) -> Path:
    """This project's wheel: built where this is a checkout, else put together again from what is installed."""
    if (CHECKOUT / "pyproject.toml").is_file():
        command = ["wheel", "--no-deps", "--wheel-dir", str(folder)]
        if importlib.util.find_spec("hatchling"):
            command.append("--no-build-isolation")
        _pip([*command, str(CHECKOUT)])
        (wheel,) = folder.glob("media_server-*.whl")
        return wheel
    return _repacked(importlib.metadata.distribution("media-server"), folder)


def _repacked(distribution: importlib.metadata.Distribution, folder: Path) -> Path:
    """A wheel of what is installed here."""
    tags = re.findall(r"^Tag: (\S+)$", distribution.read_text("WHEEL") or "", re.MULTILINE)
    fields = [sorted(set(part)) for part in zip(*(tag.split("-") for tag in tags), strict=True)]
    name = f"{distribution.metadata['Name'].replace('-', '_')}-{distribution.version}"
    wheel = folder / f"{name}-{'-'.join('.'.join(field) for field in fields)}.whl"
    left_out = ("INSTALLER", "REQUESTED", "direct_url.json", "RECORD")
    record = []
    with zipfile.ZipFile(wheel, "w") as z:
        # a low level: libraries that are compiled hardly get smaller with more
        for path in sorted(distribution.files or []):
            at = str(path)
            if at.startswith("..") or at.endswith(".pyc") or path.name in left_out:
                continue
            z.writestr(
                zipfile.ZipInfo(at), Path(str(path.locate())).read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=1
            )
            record.append(f"{at},,")
        z.writestr(zipfile.ZipInfo(f"{name}.dist-info/RECORD"), "\n".join([*record, f"{name}.dist-info/RECORD,,", ""]))
    return wheel


def _built(folder: Path) -> Path:
    """llama.cpp's wheel as it is installed here, for instance with CUDA; where it is not, pip compiles it."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        distribution = importlib.metadata.distribution(BUILT)
        if distribution.version == _pinned(BUILT):
            return _repacked(distribution, folder)
    _pip(["wheel", "--no-deps", "--wheel-dir", str(folder), f"{BUILT}=={_pinned(BUILT)}"])
    wheel = _of(BUILT, folder)
    assert wheel is not None
    return wheel


def _portable(target: Target) -> Path:
    """llama.cpp's wheel for any processor: compiled once, then kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "media-server" / "portable"
    folder = cache / hashlib.sha256(f"{_pinned(BUILT)} {target} {os.environ.get('CMAKE_ARGS')}".encode()).hexdigest()
    if found := _of(BUILT, folder):
        return found
    folder.mkdir(parents=True, exist_ok=True)
    arguments = f"{os.environ.get('CMAKE_ARGS', '')} {PORTABLE}".strip()
    command = ["wheel", "--no-deps", "--no-cache-dir", "--wheel-dir", str(folder), f"{BUILT}=={_pinned(BUILT)}"]
    _pip(command, environment={"CMAKE_ARGS": arguments})
    wheel = _of(BUILT, folder)
    assert wheel is not None
    return wheel


def _pip(command: list[str], target: Target | None = None, environment: dict[str, str] | None = None) -> None:
    if not importlib.util.find_spec("pip"):
        raise PackError(f"{sys.executable} has no pip to fetch wheels with. `python -m ensurepip` brings it.")
    ran = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *command],
        env=os.environ | (environment or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if not ran.returncode:
        return
    lacking = re.search(r"(?:No matching distribution found for|satisfies the requirement) ([^\s;]+)", ran.stderr)
    if target and lacking:
        raise PackError(_cannot_be_had(lacking[1], target))
    raise PackError(f"pip could not fetch the wheels: {ran.stderr.strip()[-2000:]}")


def _cannot_be_had(requirement: str, target: Target) -> str:
    return (
        f"There is no wheel of {requirement} for Python {target.python} on {target.platform}, and it cannot be built "
        f"on this machine. Build it on one of that kind (pip wheel --no-deps '{requirement}') and add it with "
        "--wheel FILE, or make the whole bundle there."
    )


def _of(name: str, folder: Path) -> Path | None:
    return next(folder.glob(f"{name.replace('-', '_')}-*.whl"), None)


def _pinned(name: str) -> str:
    found = re.search(rf"^{name.replace('-', '[-_]')}==(\S+)$", CONSTRAINTS.read_text(), re.MULTILINE)
    assert found is not None
    return found[1]

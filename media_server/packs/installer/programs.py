"""Installing the programs of a bundle on a bare machine: a virtual environment, filled without a network.

Only the standard library is used.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from .bundle import Bundle, Progress, Wheels
from .errors import BundleError
from .place import Placed, missing_of, put, sentences, staged, unpack

__all__ = ["cpu_features", "examine", "install_all", "interpreter", "obstacles"]

MARK = "media-server-bundle.txt"
"""The file in a virtual environment that says: this installer made it, and filled it last from this bundle."""

PACKAGES = {
    "libcrypto.so.3": "libssl3",
    "libgomp.so.1": "libgomp1",
    "libssl.so.3": "libssl3",
    "libstdc++.so.6": "libstdc++6",
}
"""Debian's packages with libraries."""


def install_all(bundle: Bundle, to: Path, progress: Progress | None = None) -> Placed:
    """Install the pack into `to/models` and the programs into `to/.venv`.

    Raises:
        BundleError: this machine cannot run the programs, or something is not as it should be.
    """
    wheels = bundle.contents.wheels
    if wheels is None:
        raise BundleError(
            "This bundle has no programs in it, only models. On a machine with the server install it with "
            f"`media-server models bundle install {bundle.path}`; for a bare machine make one with --wheels."
        )
    if found := obstacles(wheels):
        raise BundleError(" ".join(found))
    with sentences(to):
        venv = to / ".venv"
        if os.path.lexists(venv) and not (venv / MARK).is_file():
            raise BundleError(f"{venv} is there already and was not made by this installer. Choose another --to.")
        folder = (to / "models" / bundle.contents.pack["name"]).resolve()
        missing = missing_of(bundle, folder)
        filled = (venv / MARK).is_file() and (venv / MARK).read_text().strip() == bundle.id
        if missing or not filled:
            programs = [] if filled else [name for name in bundle.contents.files if name.startswith("wheels/")]
            with staged(bundle, folder.parent) as staging:
                prefix = f"pack/{bundle.contents.pack['name']}/"
                unpack(bundle, staging, [*programs, *(prefix + name for name in missing)], progress)
                if not filled:
                    _fill(venv, interpreter(wheels), [staging / name for name in programs], bundle.id)
                if missing:
                    put(staging / prefix, folder, missing)
        return Placed(folder, len(missing), len(bundle.contents.pack_files) - len(missing))


def obstacles(wheels: Wheels) -> list[str]:
    """Why the programs would not run on this machine, each as a sentence."""
    out = []
    if interpreter(wheels) is None:
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        out.append(
            f"The programs in this bundle are for Python {wheels.python}, and there is {here} here. Install "
            f"python{wheels.python}, or make the bundle with --python {here}."
        )
    system, machine = platform.system().lower(), platform.machine().lower()
    if system != "linux" or not wheels.platform.endswith(f"_{machine}"):
        out.append(f"The programs in this bundle are for {wheels.platform}; this machine is {system}_{machine}.")
        return out
    glibc = _version(platform.libc_ver()[1]) if platform.libc_ver()[0] == "glibc" else ()
    if wheels.glibc and glibc < _version(wheels.glibc):
        have = f"has {platform.libc_ver()[1]}" if glibc else "has another C library"
        out.append(f"The programs in this bundle need glibc {wheels.glibc} or newer; this machine {have}.")
    if lacking := [feature for feature in wheels.cpu if feature not in cpu_features()]:
        out.append(
            f"llama.cpp in this bundle was compiled for a processor with {', '.join(lacking)}, which this one lacks. "
            "Make the bundle with --portable."
        )
    for library in wheels.libraries:
        try:
            ctypes.CDLL(library)
        except OSError:
            package = PACKAGES.get(library)
            how = f" On Debian and Ubuntu it is in the package {package}." if package else ""
            out.append(f"This machine lacks the library {library}.{how}")
    return out


def cpu_features() -> frozenset[str]:
    """What Linux says that the processor can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    found = (line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features")))
    return frozenset(next(found, ()))


def interpreter(wheels: Wheels) -> str | None:
    """The Python that the programs are for: this one, or another on this machine."""
    if wheels.python == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    return shutil.which(f"python{wheels.python}")


def examine(to: Path, pack: str) -> int:
    """Have the new server examine the machine; its exit status."""
    command = [str(to / ".venv/bin/media-server"), "doctor", "--pack", pack, "--models-dir", "models"]
    status = subprocess.run(command, cwd=to, stdin=subprocess.DEVNULL, check=False).returncode
    if status < 0:
        raise BundleError(
            f"The server that was installed ended with signal {-status}: it does not run on this machine."
        )
    return status


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _fill(venv: Path, python: str | None, wheels: list[Path], bundle_id: str) -> None:
    """Make the environment, or fill the one there is anew. A run that was interrupted is simply done again."""
    assert python is not None
    pip = next((w for w in wheels if w.name.startswith("pip-")), None)
    if pip is None:
        raise BundleError("There is no pip among the wheels of this bundle, so nothing can be installed from them.")
    # the mark comes first: an environment without it is somebody else's
    venv.mkdir(parents=True, exist_ok=True)
    (venv / MARK).write_text("being filled\n")
    # without ensurepip, which Debian has in a package of its own; pip runs out of its wheel
    _run([python, "-m", "venv", "--without-pip", str(venv)], "The virtual environment could not be made")
    command = [str(venv / "bin/python"), f"{pip}/pip", "--disable-pip-version-check", "--no-cache-dir"]
    install = ["install", "--no-index", "--no-deps", "--force-reinstall", "--quiet", *map(str, wheels)]
    print(f"Installing {len(wheels)} programs into {venv} …", flush=True)
    _run([*command, *install], "The programs could not be installed")
    _run([*command, "check"], "The programs do not fit together")
    (venv / MARK).write_text(f"{bundle_id}\n")


def _run(command: list[str], failed: str) -> None:
    # settings for pip on this machine are about its network, which is not used
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON"))}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INPUT": "1"}
    ran = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise BundleError(f"{failed}: {(ran.stderr or ran.stdout).strip()[-2000:]}")

"""Bundles of models: what goes in comes out, and what was tampered with is named."""

from __future__ import annotations

import io
import json
import resource
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from media_server.engines.packs import load_pack, problems_of
from media_server.packs import bundle as making
from media_server.packs.installer import MANIFEST, SIGNATURE, Bundle, BundleError, install_pack
from media_server.packs.installer.archive import from_archive
from media_server.packs.local import PackError
from media_server.packs.signing import signer, verifier
from tests.unit.packs.boxes import assert_nothing_installed, create, install, limited

ROOT = Path(__file__).parents[3]
KINDS = ["tar", "tar.zst"]

Member = tuple[tarfile.TarInfo, bytes]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create(tmp_path_factory.mktemp("stored") / "box.tar.zst")


@pytest.fixture(scope="module")
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def members_of(box: Path) -> list[Member]:
    with tarfile.open(box) as tar:
        return [(m, f.read()) for m in tar if (f := tar.extractfile(m))]


def rewrite(box: Path, to: Path, change: Callable[[list[Member]], list[Member]]) -> Path:
    with tarfile.open(to, "w") as tar:
        for info, data in change(members_of(box)):
            tar.addfile(info, io.BytesIO(data))
    return to


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE) -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, len(data), "/etc/passwd" if kind != tarfile.REGTYPE else ""
    return info, data


def check(box: Path) -> None:
    with Bundle(box) as bundle:
        bundle.check()


def content_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_pack_that_is_carried_in_a_bundle_arrives_complete(kind: str, tmp_path: Path) -> None:
    box = create(tmp_path / f"box.{kind}")
    check(box)
    install(box, tmp_path / "models")
    there = load_pack("starter", tmp_path / "models")
    assert there.folder == tmp_path / "models" / "starter"
    assert problems_of(there) == []
    assert (there.folder / "README.md").is_file()
    # the folder, and the lock that others take too: nothing else is left
    assert sorted(p.name for p in (tmp_path / "models").iterdir()) == [".starter.lock", "starter"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_pack_makes_the_same_bytes(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = create(tmp_path / "a" / f"box.{kind}"), create(tmp_path / "b" / f"box.{kind}")
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_the_size_is_known_before_it_is_written(kind: str, tmp_path: Path) -> None:
    planned = making.plan(load_pack("starter", Path("none")), tmp_path / f"box.{kind}")
    told = planned.size
    making.write(planned)
    assert abs(planned.output.stat().st_size - told) <= 16


@pytest.mark.skipif(not shutil.which("zstd"), reason="there is no zstd here to judge by")
def test_other_programs_read_a_bundle(stored: Path, box: Path, tmp_path: Path) -> None:
    subprocess.run(["zstd", "-dq", str(stored), "-o", str(tmp_path / "plain.tar")], check=True)
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xf", str(tmp_path / "plain.tar"), "-C", str(tmp_path / "out")], check=True)
    assert content_of(tmp_path / "out/pack/starter")["chat/starter-chat.gguf"]
    # the unpacked folder is as good as the archive, and so is one that was compressed for real
    install(tmp_path / "out", tmp_path / "from-folder")
    subprocess.run(["zstd", "-q", str(box), "-o", str(tmp_path / "again.tar.zst")], check=True)
    install(tmp_path / "again.tar.zst", tmp_path / "from-zstd")
    assert problems_of(load_pack("starter", tmp_path / "from-folder")) == []
    assert problems_of(load_pack("starter", tmp_path / "from-zstd")) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_is_a_program_by_itself(kind: str, tmp_path: Path) -> None:
    box = create(tmp_path / f"box.{kind}")
    shown = subprocess.run(
        [sys.executable, "-I", str(box), "--verify"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert "All files are right." in shown.stdout
    ran = subprocess.run([sys.executable, "-I", str(box)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "no programs in it" in ran.stderr


@pytest.mark.parametrize("size", [(8 << 30) - 1, 8 << 30, 70 << 30])
def test_files_of_many_gigabytes_have_a_header_that_is_understood(size: int, tmp_path: Path) -> None:
    name = "pack/large/" + "folder/" * 20 + "model.gguf"  # too long for the plain form of a header, too
    header = making._header(making.Part(name, b"", size, ""))
    with (tmp_path / "large.tar").open("wb") as f:
        f.write(header)
        f.truncate(len(header) + 1024)  # a hole in the place of the content: only the header is read
    members = from_archive(tmp_path / "large.tar")
    found, told, _ = next(members)
    members.close()
    assert (found, told) == (name, size)
    with tarfile.open(tmp_path / "large.tar") as tar:
        first = tar.next()
        assert first is not None
        assert (first.name, first.size) == (name, size)


def test_a_pack_that_is_damaged_is_not_bundled(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "models/starter", tmp_path / "models/starter")
    (tmp_path / "models/starter/stt/config.json").write_bytes(b"{}")
    with pytest.raises(PackError, match=r"stt/config.json has 2 bytes"):
        making.plan(load_pack("starter", tmp_path / "models"), tmp_path / "box.tar")


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "box.tar").write_bytes(b"precious")
    with pytest.raises(PackError, match="is there already"):
        create(tmp_path / "box.tar")
    assert (tmp_path / "box.tar").read_bytes() == b"precious"


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with limited(4 << 20), pytest.raises(PackError, match=r"box.tar: File too large"):
        create(tmp_path / "box.tar")
    assert list(tmp_path.iterdir()) == []


KINDS_OF_MEMBERS = [
    "README.txt", "LICENCES.txt", "install.py", "installer/place.py", "pack/starter/pack.toml",
    "pack/starter/README.md", "pack/starter/stt/model.bin", "pack/starter/chat/starter-chat.gguf",
]  # fmt: skip


@pytest.mark.parametrize("name", KINDS_OF_MEMBERS)
def test_a_flipped_bit_is_told_by_the_name_of_the_file(name: str, box: Path, tmp_path: Path) -> None:
    def flip(members: list[Member]) -> list[Member]:
        return [(m, bytes([d[0] ^ 1]) + d[1:]) if m.name == name else (m, d) for m, d in members]

    changed = rewrite(box, tmp_path / "changed.tar", flip)
    with pytest.raises(BundleError, match=rf"{name} in .* is damaged"):
        check(changed)
    with pytest.raises(BundleError, match=rf"{name} in .* is damaged"):
        install(changed, tmp_path / "models")
    assert_nothing_installed(tmp_path / "models")


@pytest.mark.parametrize("name", KINDS_OF_MEMBERS)
def test_a_missing_file_is_told_by_its_name(name: str, box: Path, tmp_path: Path) -> None:
    cut = rewrite(box, tmp_path / "cut.tar", lambda members: [(m, d) for m, d in members if m.name != name])
    with pytest.raises(BundleError, match=f"is incomplete: {name} missing"):
        install(cut, tmp_path / "models")
    assert_nothing_installed(tmp_path / "models")


@pytest.mark.parametrize("name", KINDS_OF_MEMBERS)
def test_a_file_that_is_there_twice_is_refused(name: str, box: Path, tmp_path: Path) -> None:
    def double(members: list[Member]) -> list[Member]:
        return [*members, *((m, d) for m, d in members if m.name == name)]

    doubled = rewrite(box, tmp_path / "doubled.tar", double)
    with pytest.raises(BundleError, match=f"has {name} twice"):
        install(doubled, tmp_path / "models")
    assert_nothing_installed(tmp_path / "models")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [0.0, 0.0001, 0.001, 0.02, 0.4, 0.9, 0.995])
def test_a_truncated_bundle_is_refused(part: float, kind: str, box: Path, stored: Path, tmp_path: Path) -> None:
    whole = (box if kind == "tar" else stored).read_bytes()
    short = tmp_path / f"short.{kind}"
    short.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(BundleError, match=r"truncated|not a bundle|damaged"):
        install(short, tmp_path / "models")
    assert_nothing_installed(tmp_path / "models")


@pytest.mark.parametrize("kind", KINDS)
def test_no_flipped_bit_anywhere_gets_through(kind: str, box: Path, stored: Path, tmp_path: Path) -> None:
    whole = bytearray((box if kind == "tar" else stored).read_bytes())
    places = [*range(0, 700, 23), *range(700, len(whole), len(whole) // 40), *range(len(whole) - 400, len(whole), 37)]
    changed = tmp_path / f"changed.{kind}"
    original = content_of(ROOT / "models/starter")
    for place in places:
        whole[place] ^= 4
        changed.write_bytes(whole)
        try:
            install(changed, tmp_path / "models")
        except BundleError:
            assert_nothing_installed(tmp_path / "models")
        else:  # padding, or a field of a header that says nothing
            assert content_of(tmp_path / "models/starter").items() <= original.items()
            shutil.rmtree(tmp_path / "models/starter")
        whole[place] ^= 4


HOSTILE = {
    "a path that climbs": (member("../evil", b"x"), "would leave its folder"),
    "a path that climbs inside": (member("pack/starter/../../../evil", b"x"), "would leave its folder"),
    "an absolute path": (member("/tmp/evil", b"x"), "absolute path"),
    "a path with a backslash": (member("..\\evil", b"x"), "not allowed"),
    "a path with an escape sequence": (member("\x1b[2Jevil", b"x"), "not allowed"),
    "a very long path": (member("/".join(["evil"] * 100), b"x"), "not allowed"),
    "a hidden file": (member("pack/starter/.evil", b"x"), "not allowed"),
    "a symbolic link": (member("pack/starter/stt", kind=tarfile.SYMTYPE), "a symbolic link"),
    "a hard link": (member("pack/starter/evil", kind=tarfile.LNKTYPE), "a hard link"),
    "a device": (member("pack/starter/evil", kind=tarfile.CHRTYPE), "a device"),
    "a block device": (member("pack/starter/evil", kind=tarfile.BLKTYPE), "a device"),
    "a pipe": (member("pack/starter/evil", kind=tarfile.FIFOTYPE), "a named pipe"),
    "a file that nobody named": (member("pack/starter/evil.py", b"x"), "its manifest does not name"),
    "another manifest": (member(MANIFEST, b"{}"), "twice"),
}


@pytest.mark.parametrize("at", [1, -1], ids=["first", "last"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_members_are_refused(kind: str, at: int, box: Path, tmp_path: Path) -> None:
    evil, said = HOSTILE[kind]
    hostile = rewrite(box, tmp_path / "hostile.tar", lambda members: [*members[:at], evil, *members[at:]])
    with pytest.raises(BundleError, match=said) as refused:
        install(hostile, tmp_path / "models")
    assert "\x1b" not in str(refused.value)
    assert_nothing_installed(tmp_path / "models")
    assert not (tmp_path / "evil").exists()


def with_manifest(box: Path, to: Path, change: Callable[[dict[str, object]], object]) -> Path:
    def changed(members: list[Member]) -> list[Member]:
        told = json.loads(members[0][1])
        change(told)
        return [member(MANIFEST, json.dumps(told).encode()), *members[1:]]

    return rewrite(box, to, changed)


def named(**file: object) -> Callable[[dict[str, object]], object]:
    return lambda told: told.update(files=[{"path": "README.txt", "size": 1, "sha256": "0" * 64, **file}])


PACK = {"name": "starter", "revision": "1", "description": "", "licence": ""}
BAD_MANIFESTS: dict[str, tuple[Callable[[dict[str, object]], object], str]] = {
    "no format": (lambda told: told.pop("format"), "not a bundle's manifest"),
    "another format": (lambda told: told.update(format=2), "has format 2"),
    "a path that climbs": (named(path="pack/../x"), "leave"),
    "a number for a path": (named(path=7), "not allowed"),
    "a negative size": (named(size=-1), "not a bundle's"),
    "no hash": (named(sha256=None), "not a bundle's manifest"),
    "a file elsewhere": (named(path="etc"), "no place"),
    "a name that is a path": (lambda told: told.update(pack={**PACK, "name": "../x"}), "no pack can have"),
    "a name that steers terminals": (lambda told: told.update(pack={**PACK, "description": "\x1b]0;x"}), "manifest"),
    "no files": (lambda told: told.update(files=[]), "does not name pack/starter/pack.toml"),
    "a list": (lambda told: told.update(pack=[]), "not a bundle's manifest"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_MANIFESTS)
def test_manifests_that_are_not_valid_are_refused(kind: str, box: Path, tmp_path: Path) -> None:
    change, said = BAD_MANIFESTS[kind]
    with pytest.raises(BundleError, match=said):
        install(with_manifest(box, tmp_path / "changed.tar", change), tmp_path / "models")
    assert_nothing_installed(tmp_path / "models")


def test_a_size_that_the_manifest_does_not_name_is_not_unpacked(box: Path, tmp_path: Path) -> None:
    def swell(members: list[Member]) -> list[Member]:
        return [member(m.name, bytes(50 << 20)) if m.name.endswith("config.json") else (m, d) for m, d in members]

    with pytest.raises(BundleError, match="has 52428800 bytes"):
        install(rewrite(box, tmp_path / "bomb.tar", swell), tmp_path / "models")


@pytest.mark.parametrize("bomb", ["header", "tail", "manifest"])
@pytest.mark.skipif(not shutil.which("zstd"), reason="there is no zstd here to make a bomb with")
def test_bombs_are_refused_before_they_fill_the_memory(bomb: str, box: Path, tmp_path: Path) -> None:
    size = 600 << 20
    head, _, rest = box.read_bytes().partition(b"manifest.json")
    assert head == b""
    info = tarfile.TarInfo("x")
    match bomb:
        case "header":
            info.type, info.size = tarfile.XHDTYPE, size
            plain = info.tobuf() + bytes(size)
        case "tail":
            plain = b"manifest.json" + rest + bytes(size)
        case _:
            info.name, info.size = MANIFEST, size
            plain = info.tobuf() + bytes(size)
    small = tmp_path / "bomb.tar.zst"
    subprocess.run(["zstd", "-q", "-1", "-o", str(small)], input=plain, check=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BundleError, match=r"more than a bundle|goes on behind its end"):
        check(small)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


OTHERS = [b"", b"x", b"PK\3\4" + bytes(100), b"\x1f\x8b" + bytes(100), bytes(5000), b"\x28\xb5\x2f\xfd", b"xyz" * 999]


@pytest.mark.parametrize("content", OTHERS, ids=["empty", "short", "zip", "gzip", "zeros", "zstd", "text"])
def test_other_files_are_no_bundles(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "box.tar").write_bytes(content)
    with pytest.raises(BundleError):
        check(tmp_path / "box.tar")


def test_signatures(box: Path, key: Ed25519PrivateKey, tmp_path: Path) -> None:
    signed = create(tmp_path / "signed.tar.zst", key)
    public, other = key.public_key(), Ed25519PrivateKey.generate().public_key()
    for name, each in (("public", public), ("other", other)):
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        (tmp_path / f"{name}.pem").write_bytes(each.public_bytes(serialization.Encoding.PEM, form))
    right, wrong = verifier(tmp_path / "public.pem"), verifier(tmp_path / "other.pem")
    with Bundle(signed, right) as bundle:
        install_pack(bundle, tmp_path / "models")
    with pytest.raises(BundleError, match="not made with this key"):
        Bundle(signed, wrong)
    with pytest.raises(BundleError, match="is not signed"):
        Bundle(box, right)

    plain = tmp_path / "plain.tar"
    making.write(making.plan(load_pack("starter", Path("none")), plain, key=key))
    changed = with_manifest_behind_a_signature(plain, tmp_path / "changed.tar")
    with pytest.raises(BundleError, match="was changed"):
        Bundle(changed, right)
    if shutil.which("openssl"):
        for pem, status in (("public.pem", 0), ("other.pem", 1)):
            command = [sys.executable, "-I", str(signed), "--verify", "--key", str(tmp_path / pem)]
            assert subprocess.run(command, capture_output=True, check=False).returncode == status


def with_manifest_behind_a_signature(box: Path, to: Path) -> Path:
    def change(members: list[Member]) -> list[Member]:
        assert [m.name for m, _ in members[:2]] == [MANIFEST, SIGNATURE]
        told = members[0][1].replace(b"Apache-2.0", b"Apache-1.0")
        return [member(MANIFEST, told), *members[1:]]

    return rewrite(box, to, change)


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_keys_that_are_none_are_refused_with_what_to_do(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(content)
    for read in (signer, verifier):
        with pytest.raises(PackError, match="openssl genpkey"):
            read(tmp_path / "key.pem")


def test_what_the_runner_behind_the_archive_is_must_be_in_the_manifest(box: Path, tmp_path: Path) -> None:
    (tmp_path / "changed.tar").write_bytes(box.read_bytes().replace(b"no Ed25519", b"an Ed25519"))
    with pytest.raises(BundleError, match=r"damaged|behind the end"):
        check(tmp_path / "changed.tar")
    (tmp_path / "more.tar").write_bytes(box.read_bytes() + b"PK")
    with pytest.raises(BundleError, match="behind the end"):
        check(tmp_path / "more.tar")

"""`media-server models` as people run it, with a small catalogue and a folder as source."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from media_server.cli import main
from media_server.engines.packs import load_pack
from media_server.packs import catalogue
from media_server.packs.catalogue import Catalogue
from tests.integration.test_fetching import CATALOGUE, CONTENT, model

RESTRICTED = {"commercial_use": "no", "terms": "ryan-research", "licence": "for research only"}
Run = Callable[..., tuple[int, str]]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `models …` in an empty folder; `answer` is what a person types at the terminal, if there is one."""
    small = CATALOGUE.model_dump(exclude_unset=True)
    small["tts"] = [*small["tts"], model("ryan", "org/speaks", "en/joe.onnx", "en/joe.onnx.json", **RESTRICTED)]
    monkeypatch.setattr(catalogue, "builtin_catalogue", lambda: Catalogue.model_validate(small))
    monkeypatch.chdir(tmp_path)
    for variable in ("HF_ENDPOINT", "MEDIA_SERVER_MODELS_SOURCE", "PIP_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    stick = tmp_path / "stick"
    stick.mkdir()
    for all_of in CONTENT.values():
        for path, data in all_of.items():
            (stick / Path(path).name).write_bytes(data)

    def run(*args: str, answer: str | None = None) -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO() if answer is None else Terminal(answer + "\n"))
        with pytest.raises(SystemExit) as ended:
            main(["models", *args])
        out, err = capsys.readouterr()
        said = "" if isinstance(ended.value.code, int) else str(ended.value.code)
        status = ended.value.code if isinstance(ended.value.code, int) else 1
        return status, out + err + said

    return run


def test_a_pack_is_fetched_shown_verified_and_removed(run: Run, tmp_path: Path) -> None:
    status, out = run("fetch", "small", "--source", "stick")
    assert status == 0, out
    for said in (
        "hears",
        "thinks",
        "joe",
        "MIT",
        "Download: 3.4 MB",
        "Memory when loaded: about",
        "serve --pack small",
    ):
        assert said in out
    status, out = run("show", "small")
    assert status == 0
    for said in ("joe: MIT; commercial use allowed", "context = 4096", "voice/joe.onnx", "memory       about"):
        assert said in out
    assert "  small                    3.4 MB  hears, thinks, joe" in run("list")[1]
    assert run("verify", "small") == (0, "small: all files are right.\n")
    (tmp_path / "models/small/voice/joe.onnx").write_bytes(b"x")
    status, out = run("verify")
    assert status == 1
    assert "small is damaged: voice/joe.onnx has 1 bytes" in out
    assert "starter: all files are right." in out
    assert run("remove", "small")[0] == 1
    assert run("remove", "small", answer="n") == (
        1,
        "Delete the pack 'small' and its files? [y/N] Nothing was deleted.\n",
    )
    assert run("remove", "small", answer="y")[0] == 0
    assert not (tmp_path / "models/small").exists()


def test_a_mixed_pack_has_its_own_name_and_all_voices(run: Run, tmp_path: Path) -> None:
    status, out = run(
        "fetch", "small", "--voice", "tugão", "--voice", "joe", "--language", "pt", "--name", "mine", "--allow-md5",
        "--source", "stick",
    )  # fmt: skip
    assert status == 0, out
    manifest = load_pack("mine", tmp_path / "models").manifest
    assert (manifest.tts.path, list(manifest.voices)) == ("voice/tugao.onnx", ["tugao", "joe"])
    assert manifest.stt.language == "pt"


@pytest.mark.parametrize(
    ("args", "answer", "status", "says"),
    [
        ((), None, 1, "Say --accept-licence ryan-research if you agree"),
        (("--accept-licence", "ryan-research"), None, 0, "serve --pack"),
        (("--yes",), None, 0, "serve --pack"),
        ((), "y", 0, "Fetch it, and agree to the terms of ryan?"),
        ((), "n", 1, "Nothing was fetched."),
        ((), "", 1, "Nothing was fetched."),
        (("--accept-licence", "ryan-research"), "y", 0, "Fetch it? [y/N]"),
        (("--accept-licence", "lfm-1.0"), "y", 1, "--accept-licence lfm-1.0: none of the chosen models"),
        (
            ("--accept-licence", "lfm-1.0", "--yes"),
            None,
            1,
            "What there is to accept: --accept-licence ryan-research for",
        ),
    ],
)
def test_terms_are_shown_and_have_to_be_agreed_to(
    run: Run, tmp_path: Path, args: tuple[str, ...], answer: str | None, status: int, says: str
) -> None:
    got, out = run("fetch", "small", "--voice", "ryan", "--source", "stick", *args, answer=answer)
    assert got == status, out
    assert says in out
    assert (tmp_path / "models/small/pack.toml").exists() == (status == 0)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("fetch", "small"), "HF_ENDPOINT"),
        (("fetch", "smal", "--source", "stick"), "The catalogue has no pack 'smal'. It has: small."),
        (("fetch", "small", "--llm", "thikns", "--source", "stick"), "Did you mean thinks?"),
        (("fetch", "small", "--stt", "joe", "--source", "stick"), "It is a voice."),
        (("fetch", "small", "--voice", "tugao", "--source", "stick"), "only an MD5 is known"),
        (("fetch", "small", "--language", "German", "--source", "stick"), "not a language as Whisper names it"),
        (("fetch", "small", "--accept-licence", "mit", "--source", "stick"), "There is nothing to accept."),
        (("fetch", "small", "--source", "http://127.0.0.1:9"), "Cannot reach"),
        (("fetch", "small", "--source", "hub"), "Set HF_ENDPOINT"),
        (("fetch", "small", "--source", "index"), "Set PIP_INDEX_URL"),
        (("fetch", "small", "--source", "ftp://x"), "is not an address or a folder"),
        (("fetch", "small", "--source", "hub=hub.example"), "hub.example is not an address"),
        (("fetch", "small", "--source", "mirror="), "Nothing is not an address"),
        (("fetch", "mine", "--source", "htp://x"), "is not an address or a folder"),
        (("fetch", "smal"), "The catalogue has no pack 'smal'. It has: small."),
        (("fetch", "small"), "Say where from"),
        (("fetch", "small", "--source", "file:///none/such"), "There is no folder /none/such"),
        (("fetch", "small", "--source", "stick", "--name", "../x"), "cannot be the name of a pack"),
        (("fetch", "small", "--source", "stick", "--name", "starter"), "comes with this package"),
        (("show", "zzz"), "media-server models list --available"),
        (("remove", "starter", "--yes"), "came with this package"),
        (("remove", "nothing"), "There is no pack 'nothing'"),
        (("import", "nothing"), "There is no nothing"),
        (("import", "stick"), "tokenizer.json is damaged"),
        (("import", "stick/joe.onnx"), "cannot be loaded as ONNX"),
        (("verify", "nothing"), "no model pack 'nothing'"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, tuple) else None,
)
def test_what_cannot_be_is_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, args: tuple[str, ...], says: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "none.conf"))
    status, out = run(*args)
    assert status == 1
    assert says in out
    assert not list(tmp_path.glob("models/*/pack.toml"))


def test_models_are_listed_with_size_and_licence(run: Run) -> None:
    out = run("list", "--available")[1]
    for said in (
        "Recognisers (--stt):",
        "hears",
        "tugao",
        "only an MD5 is known",
        "NOT for commercial use",
        "for research",
    ):
        assert said in out
    assert "hears" not in run("list", "--language", "de")[1]
    out = run("show", "ryan")[1]
    assert "--accept-licence ryan-research" in out


@pytest.mark.parametrize("action", ["", "list", "show", "fetch", "import", "verify", "remove"])
def test_help_helps(run: Run, action: str) -> None:
    status, out = run(*([action] if action else []), "--help")
    assert status == 0
    assert len(out.splitlines()) > 8
    assert "usage:" in out

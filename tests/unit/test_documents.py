"""What the documents say can be copied: links lead somewhere, code parses, commands and settings exist."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from media_server.cli import parser

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
COMMAND = re.compile(r"^(?:[\w./-]*/)?media-server$")


def blocks(*languages: str) -> Iterator[object]:
    for document in DOCUMENTS:
        text = document.read_text()
        for found in BLOCK.finditer(text):
            if found[1] in languages:
                line = text.count("\n", 0, found.start()) + 1
                yield pytest.param(found[2], id=f"{document.relative_to(ROOT)}:{line}")


def anchor(heading: str) -> str:
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for link in LINK.findall(re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)):
        path, _, name = link.partition("#")
        if re.match(r"https?:|mailto:", link):
            continue
        target = (document.parent / path) if path else document
        assert target.exists(), f"{link} leads nowhere"
        if name and target.suffix == ".md":
            assert name in {anchor(h) for h in HEADING.findall(target.read_text())}, f"{link}: no such heading"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_notes_have_their_text_indented(document: Path) -> None:
    lines = document.read_text().splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("!!!"):
            assert re.fullmatch(r'!!! \w+( "[^"]+")?', line)
            assert after == ""


@pytest.mark.parametrize("code", [*blocks("python")])
def test_python_can_be_compiled(code: str) -> None:
    compile(code, "document", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("code", [*blocks("toml")])
def test_toml_can_be_read(code: str) -> None:
    tomllib.loads(code)


@pytest.mark.parametrize("code", [*blocks("sh")])
def test_commands_exist(code: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in re.sub(r"\\\n", " ", code).splitlines():
        for part in re.split(r"&&|\||;", line):
            words = shlex.split(part, comments=True)
            if "systemd-run" in words or "docker" in words or "kubectl" in words:
                words = words[next((i for i, w in enumerate(words) if COMMAND.match(w)), len(words)) :]
            words = [w for w in words if not re.match(r"[A-Z_]+=", w)]
            words = words[: next((i for i, w in enumerate(words) if w.startswith((">", "<"))), len(words))]
            if words[:1] == ["make"]:
                assert {w for w in words[1:] if "=" not in w and not w.startswith("-")} <= targets, line
            elif words and COMMAND.match(words[0]) and words[1:] != ["--help"]:
                parser().parse_args(words[1:])

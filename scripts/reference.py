"""Pages of the reference that are made from the code: settings, events, the command line and HTTP requests.

MkDocs runs this as a hook while it builds the site.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiohttp import web
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import media_server.http
from media_server import events
from media_server.agents import Agent
from media_server.cli import parser
from media_server.config import Settings
from media_server.doors import load_doors
from media_server.http.openapi import document

OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+(?:examples|models|tests|bench|CONTRIBUTING|CHANGELOG)[^)]*\)")

BOOSTS = {
    "tutorial": 3,
    "questions": 3,
    "howto/": 3,
    "models": 2,
    "security": 2,
    "agents": 2,
    "tools": 2,
    "operations": 2,
    "decisions/": 0.2,
    "architecture": 0.3,
    "performance": 0.5,
    "dependencies": 0.5,
    "migrating/": 0.5,
}
"""How far up a page comes in what a search finds, by how its path begins: what people do goes before why it is so."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code."""
    pages = {"settings": settings, "events": all_events, "cli": command_line, "http": http_requests}
    for name, make in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=make()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Order what a search finds; links to files of the repository, which the site does not have, become plain text."""
    boost = next((boost for path, boost in BOOSTS.items() if page.file.src_uri.startswith(path)), 1)
    page.meta["search"] = {"boost": boost}
    return OUTSIDE.sub(r"\1", markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """Leave out the source maps, which are most of the site."""
    for file in Path(config.site_dir).rglob("*.map"):
        file.unlink()


def settings() -> str:
    """Settings of the server and of agents, with types, defaults and meanings."""
    server = [
        (
            name,
            _type(field.annotation),
            _default(field.get_default(call_default_factory=False)),
            field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]
    said = _sentences(Settings)
    lines = ["# All settings", "", "## Of the server", "", *_table(server, said), "", "## Of an agent", ""]
    agent = [
        (f.name, _type(f.type), "required" if f.default is f.default_factory is dataclasses.MISSING else _of(f), "")
        for f in dataclasses.fields(Agent)
    ]
    return "\n".join([*lines, *_table(agent, _arguments(Agent) | _sentences(Agent)), ""])


def all_events() -> str:
    """Every event of a call, with its fields."""
    common = "Every event has `type`, `call_id`, `seq` and `time` as well: the seconds since the call began."
    lines = ["# All events", "", common, ""]
    for kind in typing.get_args(events.Event):
        lines += [
            f"## `{kind.type}`",
            "",
            inspect.cleandoc(kind.__doc__ or "") if _own_doc(kind) else "",
            "",
        ]
        said = _sentences(kind)
        rows = [(f.name, _type(f.type), said.get(f.name, "")) for f in dataclasses.fields(kind)]
        if rows:
            lines += ["| field | type | |", "| --- | --- | --- |", *(_row(*row) for row in rows), ""]
    return "\n".join(lines)


def command_line() -> str:
    """Every command with its options, as `--help` shows them."""
    lines = ["# Command line", ""]
    for each, depth in _commands(parser(), 1):
        lines += [f"{'#' * min(depth + 1, 4)} {each.prog}", "", "```text", each.format_help().rstrip(), "```", ""]
    return "\n".join(lines)


def http_requests() -> str:
    """Every request, from the handlers themselves."""
    app = web.Application()
    for found in pkgutil.walk_packages(media_server.http.__path__, "media_server.http."):
        table = getattr(importlib.import_module(found.name), "routes", None)
        if isinstance(table, web.RouteTableDef):
            app.add_routes(table)
    for door in load_doors():
        for table in door.routes:
            app.add_routes(table)
    made = document(app)
    lines = ["# HTTP requests", "", "The same as `/openapi.json` of a running server, in short.", ""]
    lines += ["| request | what it does | key's scope |", "| --- | --- | --- |"]
    for path, methods in made["paths"].items():
        for method, noted in methods.items():
            scopes = [scope for each in noted.get("security", []) for scopes in each.values() for scope in scopes]
            lines.append(_row(f"`{method.upper()} {path}`", noted["summary"], " ".join(scopes)))
    return "\n".join([*lines, ""])


def _commands(of: argparse.ArgumentParser, depth: int) -> Iterator[tuple[argparse.ArgumentParser, int]]:
    yield of, depth
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _commands(each, depth + 1)


def _table(rows: list[tuple[str, str, str, str]], said: dict[str, str]) -> list[str]:
    head = ["| setting | type | default | |", "| --- | --- | --- | --- |"]
    return head + [_row(f"`{n}`", f"`{t}`", f"`{d}`", said.get(n, about)) for n, t, d, about in rows]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in cells)} |"


def _type(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", None) or str(annotation)
    if not isinstance(annotation, str | type) or typing.get_args(annotation):
        text = str(annotation)
    text = re.sub(r"typing\.|media_server\.[a-z_.]+\.|pathlib\.|pydantic\.networks\.", "", text)
    # what pydantic checks besides is not a type
    return re.sub(r"Annotated\[(\w+), \w+\(.*\)\]", r"\1", text)


def _default(value: Any) -> str:
    return "" if "Undefined" in repr(value) else str(value)


def _of(field: dataclasses.Field[Any]) -> str:
    value = field.default
    if value is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    return str(getattr(value, "default", value))


def _own_doc(kind: type) -> bool:
    return not (kind.__doc__ or "").startswith(f"{kind.__name__}(")


def _sentences(kind: type) -> dict[str, str]:
    """What stands under each field in the source."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, after in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[str(getattr(field.target, "id", ""))] = " ".join(str(after.value.value).split())
    return found


def _arguments(kind: type) -> dict[str, str]:
    """What the docstring says of each argument."""
    from docstring_parser import parse

    return {p.arg_name: " ".join((p.description or "").split()) for p in parse(kind.__doc__ or "").params}

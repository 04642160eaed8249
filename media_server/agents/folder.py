"""The agents of a server, each in its last good version: from its configuration and from a folder of files."""

from __future__ import annotations

import importlib.util
import logging
import re
import shutil
import sys
import threading
import time
import tomllib
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from media_server.agents.agent import Agent
from media_server.errors import ConfigurationError, problems

__all__ = ["AgentRegistry", "Problem"]

log = logging.getLogger(__name__)

_AGENT = TypeAdapter(Agent)
_SETTINGS = [field.name for field in fields(Agent)]
_FILES = (".py", ".toml")
_DEEP_KEY = re.compile(r"""(?m)(?:^|[{,])[ \t\[]*(?:[\w"'-]+[ \t]*\.[ \t]*){32}""")
"""A key of very many parts, for which the parser takes memory by their square."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a file, or a part of it, is not in use."""

    file: Path
    line: int | None
    reason: str

    def __str__(self) -> str:
        return f"{self.file}{f':{self.line}' if self.line else ''}: {self.reason}"


class _Broken(Exception):
    """A file that does not give agents; where, and why."""

    def __init__(self, line: int | None, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


class AgentRegistry:
    """Agents by name. `load` reads a folder, also again: what is broken by then stays in use as it was before.

    Args:
        fixed: agents from elsewhere; one in the folder of the same name takes the place of its namesake.
        voices: that there are beside the usual one.
        check_sound: raises `OSError` or `ValueError` for a file that holds no sound an agent can play.

    Raises:
        ConfigurationError: one of `fixed` wants what there is not.
    """

    def __init__(
        self,
        fixed: Iterable[Agent] = (),
        voices: Collection[str] = (),
        check_sound: Callable[[Path], object] = lambda file: None,
    ) -> None:
        self._voices = voices
        self._check_sound = check_sound
        fixed = list(fixed)
        try:
            for agent in fixed:
                self.check(agent)
                self._check_music(agent)
        except ValueError as e:
            raise ConfigurationError(f"The agent {agent.name} cannot be: {e}.") from e
        self._fixed = {a.name: a for a in fixed}
        self._by_file: dict[Path, list[Agent]] = {}
        self._folder: Path | None = None
        self._reading = threading.RLock()
        """Held while files are read or written: threads do both."""
        self._registered: dict[str, Agent] = {}
        """Agents that programs lead, for as long as they are there."""

    def get(self, name: str) -> Agent | None:
        """The agent as it is now."""
        return self._all().get(name)

    @property
    def names(self) -> list[str]:
        return list(self._all())

    @property
    def agents(self) -> list[Agent]:
        """All, as they are now."""
        return list(self._all().values())

    def check(self, agent: Agent) -> None:
        """Whether there is what the agent wants; the log is told of tools that cannot be taken as they are.

        Raises:
            ValueError: a sentence about what there is not.
        """
        if agent.voice and agent.voice not in self._voices:
            there = f"there are: {', '.join(sorted(self._voices))}" if self._voices else "it has no named ones"
            raise ValueError(f"voice: the model pack has none called {agent.voice!r}; {there}")
        for tool in agent.tools:
            for problem in tool.problems:
                log.warning("agent %s: the tool %s cannot be taken as it is: %s", agent.name, tool.name, problem)

    def _check_music(self, agent: Agent) -> None:
        """Raises `ValueError` where the agent's music cannot be played."""
        if isinstance(agent.comfort_sound, Path):
            try:
                self._check_sound(agent.comfort_sound)
            except (OSError, ValueError) as unreadable:
                raise ValueError(f"comfort_sound: {unreadable}") from unreadable

    def register(self, agent: Agent) -> None:
        """Add an agent of a program, or put it in the place of what the program registered before.

        Raises:
            KeyError: the server has one of this name itself.
            ValueError: it wants what there is not.
        """
        if agent.name in self._all() and agent.name not in self._registered:
            raise KeyError(agent.name)
        if isinstance(agent.comfort_sound, Path):
            raise ValueError("comfort_sound: an agent of a program has no files on the server; use 'soft'")
        self.check(agent)
        self._registered[agent.name] = agent

    def withdraw(self, name: str) -> None:
        """The program is gone."""
        self._registered.pop(name, None)

    def change(self, name: str, changes: Mapping[str, Any]) -> Agent:
        """Change settings of an agent, until its file is read again.

        Raises:
            KeyError: there is none of this name.
            ValueError: a change that cannot be.
        """
        agent = self._all()[name]
        if fixed := changes.keys() & {"name", "tenant", "tools", "handlers", "knowledge", "comfort_sound"}:
            raise ValueError(f"{' and '.join(sorted(fixed))}: not to be changed here")
        try:
            changed = replace(agent, **changes)
        except TypeError as unknown:
            raise ValueError(str(unknown)) from unknown
        self.check(changed)
        for agents in self._by_file.values():
            if agent in agents:
                agents[agents.index(agent)] = changed
                return changed
        (self._registered if name in self._registered else self._fixed)[name] = changed
        return changed

    def file_of(self, name: str) -> Path | None:
        """The file that the agent is in, if it is in one."""
        return next((f for f, agents in self._by_file.items() if any(a.name == name for a in agents)), None)

    def rewrite(self, file: Path, text: str) -> list[Problem]:
        """Write a TOML file of agents anew and read the folder again; the version before is kept beside it.

        That one is called `.FILE.toml.SECONDS`, which no reading takes for agents. Blocks; may run in a thread.

        Returns:
            What is wrong in the folder now.

        Raises:
            ValueError: a sentence about what is wrong with the text; nothing is written then.
            OSError: the file cannot be written.
        """
        with self._reading:
            return self._rewrite(file, text)

    def _rewrite(self, file: Path, text: str) -> list[Problem]:
        before = self._by_file[file]
        try:
            agents = [_placed(agent, file.parent) for agent in _parse_toml(text, file.stem)]
            for agent in agents:
                self.check(agent)
        except _Broken as broken:
            raise ValueError(f"{f'line {broken.line}: ' if broken.line else ''}{broken.reason}") from broken
        if [a.name for a in agents] != [a.name for a in before]:
            names = ", ".join(a.name for a in before)
            raise ValueError(f"the file has to keep its agents and their names: {names}")
        if [_on_disk(a) for a in agents] != [_on_disk(a) for a in before]:
            settings = "tenant, knowledge and the file of comfort_sound"
            raise ValueError(f"{settings} are not to be changed here: they name what is on the server's disk")
        kept = file.with_name(f".{file.name}.{time.time():.0f}")
        kept.write_bytes(file.read_bytes())
        new = file.with_name(f".{file.name}.new")
        new.write_text(text, encoding="utf-8")
        shutil.copymode(file, new)
        new.replace(file)
        assert self._folder is not None
        return self.load(self._folder)

    def _all(self) -> dict[str, Agent]:
        return self._registered | self._fixed | {a.name: a for agents in self._by_file.values() for a in agents}

    def load(self, folder: Path) -> list[Problem]:
        """Read all files of the folder, but those whose name begins with `_` or `.`; runs the Python ones.

        Blocks while it does; may run in a thread.

        Raises:
            ConfigurationError: there is no such folder.
        """
        with self._reading:
            return self._load(folder)

    def _load(self, folder: Path) -> list[Problem]:
        if not folder.is_dir():
            raise ConfigurationError(f"There is no folder {folder} of agents.")
        folder = self._folder = folder.resolve()
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
        _forget_modules(folder)
        found: dict[Path, list[Agent]] = {}
        problems: list[Problem] = []
        owner: dict[str, Path] = {}
        for file in sorted(p for p in folder.iterdir() if p.suffix in _FILES and not p.name.startswith(("_", "."))):
            try:
                agents = _read_python(file) if file.suffix == ".py" else _read_toml(file)
                agents = [_placed(agent, file.parent) for agent in agents]
                for agent in agents:
                    try:
                        self.check(agent)
                        self._check_music(agent)
                    except ValueError as e:
                        raise _Broken(None, f"{agent.name}: {e}") from e
            except _Broken as broken:
                before = self._by_file.get(file, [])
                kept = f" (the version before stays in use: {', '.join(a.name for a in before)})" if before else ""
                problems.append(Problem(file, broken.line, broken.reason + kept))
                agents = before
            for agent in agents:
                if agent.name in owner:
                    reason = f"there is an agent {agent.name!r} in {owner[agent.name].name} already"
                    problems.append(Problem(file, None, reason))
                    continue
                owner[agent.name] = file
                found.setdefault(file, []).append(agent)
        self._by_file = found
        return problems


def _forget_modules(folder: Path) -> None:
    """So that what files import of one another is read again as well."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and Path(file).is_relative_to(folder):
            del sys.modules[name]


def _read_python(file: Path) -> list[Agent]:
    # a name that no library has, whatever the file is called
    spec = importlib.util.spec_from_file_location(f"_agents_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as e:
        raise _Broken(e.lineno, f"{e.msg}") from e
    except (Exception, SystemExit) as e:
        lines = [f.lineno for f in traceback.extract_tb(e.__traceback__) if f.filename == str(file)]
        reason = problems(e, _SETTINGS) if isinstance(e, ValidationError) else f"{type(e).__name__}: {e}"
        raise _Broken(lines[-1] if lines else None, reason) from e
    return list({id(v): v for v in vars(module).values() if isinstance(v, Agent)}.values())


def _read_toml(file: Path) -> list[Agent]:
    if file.name == "media_server.toml":
        raise _Broken(None, f"the server's settings, no agent: start it where they are (cd {file.parent})")
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise _Broken(None, str(e)) from e
    return _parse_toml(text, file.stem)


def _parse_toml(text: str, stem: str) -> list[Agent]:
    """The agents of a file's text; one without a name has that of the file."""
    if deep := _DEEP_KEY.search(text):
        raise _Broken(text.count("\n", 0, deep.start()) + 1, "a key has too many parts")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        at = re.search(r"line (\d+)", str(e))
        raise _Broken(int(at[1]) if at else None, str(e)) from e
    except RecursionError:
        raise _Broken(None, "its tables or lists are nested too deeply") from None
    tables: Any = table.get("agents", [{"name": stem} | table])
    if not isinstance(tables, list):
        raise _Broken(_line(text, "agents"), "agents: write [[agents]] before each one")
    agents = []
    for each in tables:
        try:
            # code comes from Python files
            if not isinstance(each, dict) or "handlers" in each:
                raise _Broken(_line(text, "handlers"), "handlers: not a setting of an agent")
            agents.append(_AGENT.validate_python(each))
        except ValidationError as e:
            keys = [str(part) for part in e.errors(include_url=False)[0]["loc"] if isinstance(part, str)]
            raise _Broken(_line(text, keys[-1] if keys else ""), problems(e, _SETTINGS)) from e
    return agents


def _placed(agent: Agent, folder: Path) -> Agent:
    """The agent with its documents and its music found from where its file is."""
    if isinstance(agent.comfort_sound, Path):
        agent = replace(agent, comfort_sound=folder / agent.comfort_sound)
    skills = tuple(replace(s, knowledge=_documents(s.knowledge, folder)) for s in agent.skills)
    return replace(agent, knowledge=_documents(agent.knowledge, folder), skills=skills)


def _documents(named: Iterable[Path], folder: Path) -> tuple[Path, ...]:
    """Folders of documents found from where an agent's file is."""
    found = tuple(folder / each for each in named)
    for each in found:
        if not each.is_dir():
            raise _Broken(None, f"knowledge: there is no folder {each}")
    return found


def _on_disk(agent: Agent) -> tuple[object, ...]:
    """The settings of an agent that name what is on the server's disk."""
    return agent.tenant, agent.folders, agent.comfort_sound if isinstance(agent.comfort_sound, Path) else None


def _line(text: str, key: str) -> int | None:
    """Where a key is set; the parser does not tell."""
    at = re.search(rf"(?m)^[ \t\[]*{re.escape(key)}[ \t\]]*(=|$)", text) if key else None
    return text.count("\n", 0, at.start()) + 1 if at else None

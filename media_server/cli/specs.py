"""`test`: conversations in YAML that the language model plays through with an agent, and judges."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from media_server.cli.options import command, server_options
from media_server.cli.parser import path
from media_server.errors import ConfigurationError, MediaServerError, problems

__all__ = ["Spec", "add", "read_specs"]

TEST = """\
Play conversations that are written down in YAML (*.spec.yaml) with agents of a running server: in writing, or over a
call where the file says "mode: voice". The server's language model is the customer and the judge. Ends with 1 where one
fails.
"""
PROMPT = """\
You test an assistant by talking to it. You are the customer: write only what the customer says, one short sentence at a
time. Follow these steps:

{workflow}

After each answer of the assistant, go on with the next step. As soon as it is clear, call test_passed with a summary,
or test_failed with the reason. What you are told in brackets are the tools that the assistant has used."""
VERDICTS = {"test_passed": "summary", "test_failed": "reason"}
OVER = ("llm.tool_call", "call.error", "call.ended")
"""Events after which a call says no more."""
CONNECT_S = 10.0


@dataclass(frozen=True, slots=True)
class Spec:
    """One conversation as its file has it."""

    file: Path
    agent: str
    workflow: str
    description: str = ""
    timeout_s: float = 30.0
    """Seconds for each answer."""
    most_turns: int = 20
    spoken: bool = False
    """Whether it is a call between the judge and the agent, who hear each other."""
    voice: str = ""
    """The judge's."""
    language: str | None = None
    greeting: str = ""
    """The words by which the judge begins a call; without any it waits for the agent's."""


@dataclass(slots=True)
class _Result:
    spec: Spec
    passed: bool = False
    summary: str = ""
    turns: list[dict[str, Any]] = field(default_factory=list)
    duration_ms: int = 0

    def as_json(self) -> dict[str, Any]:
        about = {"file": str(self.spec.file), "agent": self.spec.agent, "passed": self.passed, "summary": self.summary}
        return {**about, "turns": self.turns, "durationMs": self.duration_ms}


def add(commands: Any) -> None:
    test = command(commands, "test", "play conversations that are written in YAML", TEST)
    test.add_argument("paths", nargs="+", type=path, help="files, or folders of *.spec.yaml")
    server_options(test)
    test.add_argument("--agent", help="in place of the one that a file names")
    test.add_argument("--grep", default="", metavar="TEXT", help="only files and descriptions with this in them")
    test.add_argument("--voice", help="play them over a call; the judge has this voice")
    test.add_argument("--lang", help="of the judge, in place of the one that a file names")
    test.add_argument("--list", action="store_true", help="print what would be played")
    test.add_argument("--json", action="store_true", help="print the results as JSON")
    test.set_defaults(run=_run)


def read_specs(paths: list[Path], agent: str | None = None, having: str = "") -> list[Spec]:
    """The conversations of these files and folders.

    Raises:
        ConfigurationError: a file cannot be read, or is none; with its name.
    """
    specs = [_read(file, agent) for path in paths for file in _files(path)]
    return [s for s in specs if having.lower() in f"{s.file} {s.description}".lower()]


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(f for kind in ("yaml", "yml") for f in path.rglob(f"*.spec.{kind}"))
    elif path.is_file():
        yield path
    else:
        raise ConfigurationError(f"There is no file or folder {path}.")


def _read(file: Path, agent: str | None) -> Spec:
    import yaml
    from pydantic import BaseModel, Field, ValidationError

    class Judge(BaseModel):
        maxTurns: int = Field(20, ge=1, le=200)  # noqa: N815 - as it is in the files

    class Written(BaseModel):
        agent: str
        workflow: str = Field(min_length=1)
        description: str = ""
        timeout: str | float = 30
        judge: Judge = Judge()
        mode: Literal["chat", "voice"] = "chat"
        voice: str = ""
        language: str | None = None
        greeting: str = ""

    try:
        written = Written.model_validate(yaml.safe_load(file.read_text()))
        timeout_s = float(str(written.timeout).strip().removesuffix("s"))
    except ValidationError as wrong:
        raise ConfigurationError(f"{file}: {problems(wrong)}.") from wrong
    except (yaml.YAMLError, UnicodeDecodeError, OSError, ValueError) as wrong:
        raise ConfigurationError(f"{file}: it cannot be read: {str(wrong).splitlines()[0]}.") from wrong
    return Spec(
        file,
        agent or written.agent,
        written.workflow,
        written.description,
        timeout_s,
        written.judge.maxTurns,
        spoken=written.mode == "voice",
        voice=written.voice,
        language=written.language,
        greeting=written.greeting,
    )


def _run(args: argparse.Namespace) -> int:
    specs = read_specs(args.paths, args.agent, args.grep)
    if args.voice is not None:
        specs = [replace(s, spoken=True, voice=args.voice) for s in specs]
    if args.lang:
        specs = [replace(s, language=args.lang) for s in specs]
    if args.list:
        for spec in specs:
            print(f"{spec.file}  {spec.agent}  {spec.description}")
        return 0
    if not specs:
        raise ConfigurationError(
            f"No file or description has {args.grep!r} in it." if args.grep else "There is no *.spec.yaml here."
        )
    results = asyncio.run(_play_all(args, specs))
    passed = sum(r.passed for r in results)
    if args.json:
        told = {"passed": passed, "failed": len(results) - passed, "results": [r.as_json() for r in results]}
        print(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        print(f"{passed} passed, {len(results) - passed} failed")
    return 0 if passed == len(results) else 1


async def _play_all(args: argparse.Namespace, specs: list[Spec]) -> list[_Result]:
    results = []
    for spec in specs:
        began_s = time.monotonic()
        result = _Result(spec)
        try:
            async with _Judge.connected(args, spec) as judge:
                await (judge.talk(result) if spec.spoken else judge.write(result))
        except TimeoutError:
            result.summary = f"There was no answer within {spec.timeout_s:g} seconds."
        except MediaServerError as failed:
            if failed.code == "no_server":
                raise
            result.summary = failed.message
        result.duration_ms = round(1000 * (time.monotonic() - began_s))
        results.append(result)
        if not args.json:
            print(f"{'passed' if result.passed else 'FAILED'}  {spec.file}  {result.summary}", flush=True)
    return results


class _Judge:
    """An agent of this program's own, over the door for programs, which talks to the one that is tested."""

    def __init__(self, socket: Any, spec: Spec) -> None:
        self._socket = socket
        self._spec = spec
        self._name = f"judge-{secrets.token_hex(4)}"

    @classmethod
    @contextlib.asynccontextmanager
    async def connected(cls, args: argparse.Namespace, spec: Spec) -> AsyncIterator[_Judge]:
        import aiohttp

        from media_server.client import unreachable

        try:
            async with (
                aiohttp.ClientSession() as http,
                http.ws_connect(f"{args.url.rstrip('/')}/client", ssl=not args.insecure) as socket,
            ):
                judge = cls(socket, spec)
                async with asyncio.timeout(CONNECT_S):
                    await judge._begin(args.key)
                yield judge
        except (aiohttp.ClientError, ValueError) as failed:
            raise unreachable(args.url, failed) from failed

    async def _begin(self, key: str) -> None:
        await self._send("connect", api_key=key)
        await self._next("connected")
        tools = [
            {"type": "function", "function": {"name": name, "description": "End the test", "parameters": _text(what)}}
            for name, what in VERDICTS.items()
        ]
        prompt = PROMPT.format(workflow=self._spec.workflow)
        about = {"voice": self._spec.voice or None, "language": self._spec.language}
        await self._send(
            "agent.create", agent_id=self._name, prompt=prompt, llm="local", tools=tools, preparing=False, **about
        )
        await self._next("agent.created")

    async def talk(self, result: _Result) -> None:
        """Call the agent until there is a verdict: both hear each other's voice, as callers do."""
        bridged = {"target": self._spec.agent, "greeting": self._spec.greeting, "detect_turn_end": False}
        await self._send("call.bridge", agent_id=self._name, **bridged)
        while len(result.turns) < 2 * self._spec.most_turns:
            async with asyncio.timeout(self._spec.timeout_s):
                message = await self._next("user.message", "message.confirmed", *OVER)
            match message:
                case {"event": "llm.tool_call", "tool_calls": [call, *_]}:
                    self._judge(call, result)
                    await self._send("call.hangup", call_id=message["call_id"])
                    return
                case {"event": "call.error", "error": why}:
                    result.summary = why
                    return
                case {"event": "call.ended"}:
                    result.summary = "The call ended before there was a verdict."
                    return
                case {"event": "user.message", "text": text}:
                    result.turns.append({"role": "agent", "text": text, "tools": []})
                case {"text": text}:
                    result.turns.append({"role": "customer", "text": text})
        result.summary = f"There was no verdict after {self._spec.most_turns} turns."

    async def write(self, result: _Result) -> None:
        """Write to the agent until there is a verdict."""
        news = "Begin."
        for _ in range(self._spec.most_turns):
            said = await self._ask(self._name, news, result)
            if said is None:
                return
            result.turns.append({"role": "customer", "text": said["text"]})
            answer = await self._ask(self._spec.agent, said["text"], result)
            assert answer is not None
            result.turns.append({"role": "agent", **answer})
            used = "".join(f" [{tool['name']}({tool['arguments']})]" for tool in answer["tools"])
            news = f"The assistant says: {answer['text']}{used}"
        result.summary = f"There was no verdict after {self._spec.most_turns} turns."

    async def _ask(self, agent: str, text: str, result: _Result) -> dict[str, Any] | None:
        """What an agent answers; None once the judge has given its verdict."""
        tools: list[dict[str, Any]] = []
        session = f"test-{agent}"
        await self._send("llm.chat", session_id=session, agent_id=agent, text=text or "…")
        async with asyncio.timeout(self._spec.timeout_s):
            while True:
                message = await self._next()
                match message:
                    case {"event": "llm.tool_call", "agent_id": self._name, "tool_calls": [call]}:
                        self._judge(call, result)
                        return None
                    case {"event": "llm.chat.tool_call", "session_id": found, "tool_calls": called} if found == session:
                        tools += called
                    case {"event": "llm.chat.done", "session_id": found, "text": answer} if found == session:
                        return {"text": answer, "tools": tools}

    def _judge(self, call: dict[str, Any], result: _Result) -> None:
        verdict = json.loads(call["arguments"])
        result.passed = call["name"] == "test_passed"
        result.summary = str(verdict.get(VERDICTS[call["name"]], ""))

    async def _send(self, event: str, **fields: Any) -> None:
        await self._socket.send_json({"event": event, **fields})

    async def _next(self, *events: str) -> dict[str, Any]:
        """The next message, or the next one of these events."""
        async for message in self._socket:
            told: dict[str, Any] = json.loads(message.data)
            if told["event"] in ("error", "llm.chat.error"):
                raise MediaServerError(told.get("code", "refused").lower(), told.get("message") or told["error"])
            if not events or told["event"] in events:
                return told
        raise MediaServerError("closed", "The server has closed the connection.")


def _text(name: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}

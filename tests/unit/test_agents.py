"""Agents and their tools as a developer writes them, and what is said of mistakes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

import media_server
from media_server.agents import Agent, AgentRegistry, Call, Tool, ToolRefusal, client_tool, tool
from media_server.errors import ConfigurationError


class Address(BaseModel):
    street: str
    number: int = 1


@tool
async def order(
    dish: str,
    count: Annotated[int, Field(ge=1, le=9)] = 1,
    size: Literal["small", "large"] = "small",
    to: Address | None = None,
    *,
    call: Call,
) -> str:
    """Order a dish.

    It is brought to the address.

    Args:
        dish: what is eaten
        to: where it is brought
    """
    return f"{count} {size} {dish}"


def test_the_model_is_told_what_hints_and_docstring_say() -> None:
    function = order.spec["function"]
    assert function["name"] == "order"
    assert function["description"] == "Order a dish.\nIt is brought to the address."
    properties = function["parameters"]["properties"]
    assert list(properties) == ["dish", "count", "size", "to"]
    assert properties["dish"] == {"type": "string", "description": "what is eaten"}
    assert properties["count"] == {"type": "integer", "minimum": 1, "maximum": 9, "default": 1}
    assert properties["size"]["enum"] == ["small", "large"]
    assert properties["to"]["anyOf"][0]["properties"]["street"] == {"type": "string"}, "references are written out"
    assert function["parameters"]["required"] == ["dish"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{}", "dish: Field required"),
        ('{"dish": "soup", "count": 12}', "count: Input should be less than or equal to 9"),
        ('{"dish": "soup", "spoon": 1}', "spoon: Extra inputs are not permitted"),
        ('{"dish": "soup", "size": "huge"}', "size: Input should be 'small' or 'large'"),
        ("[1", "Invalid JSON"),
    ],
)
def test_arguments_that_do_not_fit_are_explained(given: str, said: str) -> None:
    with pytest.raises(ToolRefusal, match="The arguments do not fit") as refused:
        order.check(given)
    assert said in str(refused.value)


async def test_a_function_is_called_with_what_was_given() -> None:
    given = order.check('{"dish": "soup", "to": {"street": "x"}}')
    assert given["to"] == Address(street="x")
    assert (await order.run(given, call=None)).result == "1 small soup"
    assert await order("soup", 2, call=None) == "2 small soup"


async def test_what_is_returned_becomes_json() -> None:
    @tool
    def find(name: str) -> Any:
        return {"address": Address(street=name), "path": Path("/x"), "unknown": object}

    result = (await find.run(find.check('{"name": "a"}'), call=None)).result
    assert result["address"] == {"street": "a", "number": 1}
    assert result["path"] == "/x"


async def test_a_plain_function_may_use_the_call_too() -> None:
    said: list[str] = []

    class Listening:
        id = "call-1"

        def say(self, text: str) -> None:
            assert asyncio.get_running_loop()
            said.append(text)

    @tool
    def speak(call: Call) -> str:
        call.say("hello")
        return call.id

    assert (await speak.run({}, Listening())).result == "call-1"
    await asyncio.sleep(0)
    assert said == ["hello"]


def test_a_function_that_cannot_be_described_is_refused_where_it_is_written() -> None:
    with pytest.raises(TypeError, match="the parameter x of the tool f has no type hint"):

        @tool
        def f(x) -> None:  # type: ignore[no-untyped-def]
            ...

    with pytest.raises(TypeError, match="cannot be given by name"):

        @tool
        def g(*x: int) -> None: ...

    with pytest.raises(TypeError, match="cannot be described"):

        @tool
        def h(x: asyncio.Lock) -> None: ...


def test_agents_say_what_is_wrong_with_them() -> None:
    with pytest.raises(ValueError, match="turns"):
        Agent("a", turns="hasty")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="two tools called order"):
        Agent("a", tools=[order, order])
    with pytest.raises(TypeError, match="async generator"):

        @Agent("a").on_turn
        def answer(text: str, call: Call) -> None: ...

    with pytest.raises(TypeError, match="has to be async"):

        @Agent("a").on("call.started")
        def started(call: Call) -> None: ...


def test_what_a_developer_imports() -> None:
    assert media_server.Agent is Agent
    assert media_server.tool is tool
    with pytest.raises(AttributeError):
        media_server.nothing  # noqa: B018


GOOD = 'from media_server import Agent\nmara = Agent("mara", prompt="{}")\n'


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)


def test_the_servers_settings_are_no_agent(tmp_path: Path) -> None:
    (tmp_path / "media_server.toml").write_text('agents_dir = "agents"\n')
    (problem,) = AgentRegistry([Agent("main")]).load(tmp_path)
    assert str(problem).endswith(f"the server's settings, no agent: start it where they are (cd {tmp_path})")


def test_a_folder_of_agents_is_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        mara_py=GOOD.format("a"),
        luna_toml='prompt = "b"\n',
        both_toml='[[agents]]\nname = "x"\n[[agents]]\nname = "y"\n',
    )
    (tmp_path / "_hidden.py").write_text("raise RuntimeError")
    (tmp_path / "notes.txt").write_text("no agent")
    book = AgentRegistry([Agent("assistant")])
    assert book.load(tmp_path) == []
    assert book.names == ["assistant", "x", "y", "luna", "mara"]
    luna = book.get("luna")
    assert luna is not None
    assert luna.prompt == "b"


@pytest.mark.parametrize(
    ("file", "text", "line", "reason"),
    [
        ("mara_py", "from media_server import Agent\nAgent(\n", 2, "'(' was never closed"),
        ("mara_py", "\n\n1 / 0\n", 3, "ZeroDivisionError"),
        ("mara_py", "from media_server import Agent\nm = Agent('mara', turns='hasty')\n", 2, "turns: this has to be"),
        ("mara_py", "import nowhere_to_be_found\n", 1, "ModuleNotFoundError"),
        ("mara_py", "raise SystemExit(3)\n", 1, "SystemExit"),
        ("mara_toml", "prompt = \n", 1, "Invalid value"),
        ("mara_toml", 'prompt = "a"\nturns = "hasty"\n', 2, "turns: this has to be"),
        ("mara_toml", 'prompt = "a"\n\npromt = "a"\n', 3, "promt: unknown setting"),
        ("mara_toml", '[[tools]]\nname = "a b"\ndescription = ""\n', 2, "name: a name has only letters"),
        ("mara_toml", "agents = 3\n", 1, "agents: write"),
        ("mara_toml", "[handlers]\nx = 1\n", 1, "handlers: not a setting"),
        ("mara_toml", "x = " + "[" * 3000, None, "nested too deeply"),
        ("mara_toml", "x = " + "{a=" * 3000, None, "nested too deeply"),
        ("mara_toml", "\na." + "b." * 3000 + "c = 1\n", 2, "too many parts"),
    ],
)
def test_a_broken_file_is_named_with_line_and_reason(
    tmp_path: Path, file: str, text: str, line: int | None, reason: str
) -> None:
    write(tmp_path, **{file: text}, luna_toml='prompt = "b"\n')
    book = AgentRegistry()
    (problem,) = book.load(tmp_path)
    assert problem.file.name == file.replace("_", ".")
    assert problem.line == line
    assert reason in problem.reason
    assert book.names == ["luna"], "the others are there"


def prompt_of(book: AgentRegistry, name: str) -> str:
    agent = book.get(name)
    assert agent is not None
    return agent.prompt


def test_the_last_good_version_stays(tmp_path: Path) -> None:
    book = AgentRegistry()
    write(tmp_path, mara_py=GOOD.format("first"))
    assert book.load(tmp_path) == []
    write(tmp_path, mara_py="nonsense(")
    (problem,) = book.load(tmp_path)
    assert "stays in use: mara" in problem.reason
    assert prompt_of(book, "mara") == "first"
    write(tmp_path, mara_py=GOOD.format("third"))
    assert book.load(tmp_path) == []
    assert prompt_of(book, "mara") == "third"
    (tmp_path / "mara.py").unlink()
    book.load(tmp_path)
    assert book.get("mara") is None


def test_a_voice_has_to_be_there(tmp_path: Path) -> None:
    write(tmp_path, a_toml='voice = "calm"\n', b_toml='voice = "loud"\n')
    book = AgentRegistry(voices={"calm"})
    (problem,) = book.load(tmp_path)
    assert "b: voice: the model pack has none called 'loud'; there are: calm" in str(problem)
    assert book.names == ["a"]
    with pytest.raises(ConfigurationError, match="mara cannot be: voice"):
        AgentRegistry([Agent("mara", voice="calm")])


def test_two_files_cannot_have_the_same_agent(tmp_path: Path) -> None:
    write(tmp_path, a_toml='name = "mara"\nprompt = "a"\n', b_toml='name = "mara"\nprompt = "b"\n')
    book = AgentRegistry()
    (problem,) = book.load(tmp_path)
    assert "in a.toml already" in str(problem)
    assert prompt_of(book, "mara") == "a"


def test_files_share_code_that_is_read_again_too(tmp_path: Path) -> None:
    (tmp_path / "_shared_prompt.py").write_text('PROMPT = "one"\n')
    user = "from _shared_prompt import PROMPT\nfrom media_server import Agent\na = Agent('a', PROMPT)\n"
    write(tmp_path, a_py=user)
    book = AgentRegistry()
    assert book.load(tmp_path) == []
    (tmp_path / "_shared_prompt.py").write_text('PROMPT = "three"\n')
    assert book.load(tmp_path) == []
    assert prompt_of(book, "a") == "three"


def test_a_tool_of_the_client_may_refer_to_its_own_definitions() -> None:
    made = client_tool("f", "", {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"enum": [1, 2]}}})
    assert made.parameters == {"type": "object", "properties": {"a": {"enum": [1, 2]}}}
    with pytest.raises(ValueError, match="there is no #/nowhere"):
        client_tool("f", "", {"properties": {"a": {"$ref": "#/nowhere"}}})
    # eight of the next, ten times over, are a thousand million
    many = {f"A{i}": {"anyOf": [{"$ref": f"#/$defs/A{i + 1}"}] * 8} for i in range(10)} | {"A10": {"enum": [1]}}
    long = {f"A{i}": {"anyOf": [{"$ref": f"#/$defs/A{i + 1}"}]} for i in range(500)} | {"A500": {"enum": [1]}}
    for definitions in (many, long):
        with pytest.raises(ValueError, match="more than 2000 parts, or 50 references within each other"):
            client_tool("f", "", {"properties": {"a": {"$ref": "#/$defs/A0"}}, "$defs": definitions})
    assert isinstance(made, Tool)
    with pytest.raises(TypeError, match="runs in the client"):
        made()


def test_plain_functions_that_hang_keep_neither_threads_nor_the_process() -> None:
    script = """
import asyncio, time
from media_server.agents import tool

@tool
def hang() -> str:
    "Wait for ever."
    time.sleep(1000)

async def main():
    hanging = [asyncio.create_task(hang.run({}, None)) for _ in range(50)]
    await asyncio.sleep(0.1)
    await asyncio.wait_for(asyncio.to_thread(print, "free"), 5)
    for each in hanging:
        each.cancel()
    await asyncio.wait(hanging)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "free\n"), done.stderr


async def test_what_a_plain_function_raises_is_raised() -> None:
    @tool
    def broken() -> str:
        """Fail."""
        raise LookupError("not found")

    with pytest.raises(LookupError, match="not found"):
        await broken.run({}, None)


class _Stop(BaseException):
    pass


@pytest.mark.parametrize("stop", [SystemExit(), KeyboardInterrupt(), _Stop(), BaseExceptionGroup("", [_Stop()])])
async def test_a_tool_cannot_end_the_server(stop: BaseException) -> None:
    @tool
    def plain() -> None:
        """Stop."""
        raise stop

    @tool
    async def other() -> None:
        """Stop."""
        raise stop

    for each in (plain, other):
        with pytest.raises(RuntimeError, match="wanted to end the program"):
            await each.run({}, None)


def test_a_file_that_several_write_at_once_is_whole(tmp_path: Path) -> None:
    write(tmp_path, mara_toml='prompt = "before"\n')
    book = AgentRegistry()
    assert not book.load(tmp_path)
    file = book.file_of("mara")
    assert file is not None
    texts = [f'prompt = "{n}"\n' for n in range(30)]
    with ThreadPoolExecutor(10) as pool:
        problems = [*pool.map(lambda text: book.rewrite(file, text), texts)]
    assert not any(problems)
    assert file.read_text() in texts
    assert prompt_of(book, "mara") in file.read_text()

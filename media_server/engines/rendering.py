"""Rendering a model's chat template, in the Jinja dialect that templates are written for.

It is the dialect of Hugging Face's `transformers` (`apply_chat_template`): sandboxed, blocks trimmed, `break` and
`continue`, `tojson` that leaves letters as they are, `raise_exception`, `strftime_now`, and a `generation` block that
only trainers need.
"""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterable
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment

__all__ = ["Renderer", "TemplateEndlessError", "TemplateRefusedError"]

LONGEST = 4_000_000
"""Characters of one prompt, and of any text in it; a template that writes more is in a loop."""
LARGEST_BITS = 4096
"""Of a number, which a template has no use for."""
MAX_S, MAX_MESSAGE_S = 1.0, 0.02
"""Seconds of the processor for one prompt, and more for each message: real ones take a tenth of both at most."""
TICKS = 64
"""Rounds after which the time is looked at."""


_TICK, _JOIN = "__tick", "__join"


class TemplateRefusedError(Exception):
    """The template raised an exception for these messages."""


class TemplateEndlessError(TemplateRefusedError):
    """The template takes too long, or writes too much, for any message."""

    def __init__(self) -> None:
        super().__init__("it does not come to an end")


class _Generation(Extension):
    """`{% generation %}` marks what a model is trained on; its body is rendered as it stands."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Environment(SandboxedEnvironment):
    """Jinja in which no template runs for ever or fills the memory: loops and macros call `_tick`."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        repeated: Iterable[Any] = tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock))
        for part in repeated:
            call = nodes.Call(nodes.Name(_TICK, "load"), [], [], None, None)
            part.body.insert(0, nodes.ExprStmt(call).set_lineno(part.lineno, True).set_environment(self))
        for concat in tree.find_all(nodes.Concat):
            concat.nodes = [nodes.Call(nodes.Name(_JOIN, "load"), concat.nodes, [], None, None)]
            concat.nodes[0].set_lineno(concat.lineno).set_environment(self)
        return tree

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        texts = [len(x) for x in (left, right) if isinstance(x, str | list)]
        numbers = [x for x in (left, right) if isinstance(x, int)]
        if operator == "*" and texts and numbers:
            _bounded(texts[0] * max(numbers))
        elif operator in ("*", "**") and len(numbers) == 2:
            bits = left.bit_length() * right if operator == "**" else left.bit_length() + right.bit_length()
            _bounded(bits, LARGEST_BITS)
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, str | list):
            _bounded(len(result))
        return result


def _bounded(size: int, most: int = LONGEST) -> None:
    if size > most:
        raise TemplateEndlessError


def _join(*parts: Any) -> str:
    texts = [str(part) for part in parts]
    _bounded(sum(map(len, texts)))
    return "".join(texts)


class Renderer:
    """One template, compiled.

    Args:
        source: Jinja.
        bos, eos: the texts of the model's tokens for a beginning and an end.

    Raises:
        TemplateRefusedError: the template cannot be compiled.
    """

    def __init__(self, source: str, bos: str, eos: str) -> None:
        self.source = source
        # models of whose other tokens nothing is known have none
        self._given = {"bos_token": bos, "eos_token": eos, "unk_token": "", "pad_token": ""}
        # what a template changes is its own copy of the messages, so it may: some append to lists
        environment = _Environment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, LoopControlExtension])
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = _strftime_now
        environment.globals.update({_TICK: self._tick, _JOIN: _join})
        del environment.globals["lipsum"]
        self._until = float("inf")
        self._ticks = 0
        try:
            self._template = environment.from_string(source)
            self.variables = frozenset(meta.find_undeclared_variables(environment.parse(source)))
            """Names that the template expects to be given."""
        except (jinja2.TemplateError, RecursionError) as error:
            raise TemplateRefusedError(f"{type(error).__name__}: {error}") from error

    def render(self, messages: list[dict[str, Any]], *, prompt: bool = True, **more: Any) -> str:
        """The text of a conversation.

        Args:
            prompt: end with the beginning of the model's turn.
            more: further variables. The template may change these and the messages.

        Raises:
            TemplateRefusedError: the template raised an exception, or did not end.
        """
        self._until = time.thread_time() + MAX_S + MAX_MESSAGE_S * len(messages)
        pieces: list[str] = []
        length = 0
        try:
            for piece in self._template.generate(
                messages=messages, add_generation_prompt=prompt, **self._given, **more
            ):
                pieces.append(piece)
                length += len(piece)
                _bounded(length)
        except TemplateRefusedError:
            raise
        except Exception as error:  # templates run anything that Jinja has
            raise TemplateRefusedError(f"{type(error).__name__}: {error}") from error
        return "".join(pieces)

    def _tick(self) -> None:
        self._ticks += 1
        if self._ticks % TICKS == 0 and time.thread_time() > self._until:
            raise TemplateEndlessError


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys, default=_listed
    )


def _listed(value: Any) -> Any:
    """Filters give generators, which JSON has no form for."""
    if isinstance(value, Iterable):
        return list(value)
    return str(value)


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _strftime_now(format: str) -> str:  # templates may name it
    return datetime.datetime.now().astimezone().strftime(format)

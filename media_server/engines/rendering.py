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
from jinja2.sandbox import SandboxedEnvironment

__all__ = ["Renderer", "TemplateRefusedError"]

LONGEST = 4_000_000
"""Characters of one prompt; a template that writes more is in a loop."""
MAX_S = 10.0
"""Seconds for one prompt, looked at with every piece that the template writes."""


class TemplateRefusedError(Exception):
    """The template raised an exception for these messages."""


class _Generation(Extension):
    """`{% generation %}` marks what a model is trained on; its body is rendered as it stands."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


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
        self._given = {"bos_token": bos, "eos_token": eos}
        # what a template changes is its own copy of the messages, so it may: some append to lists
        environment = SandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, LoopControlExtension]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = _strftime_now
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
        until = time.monotonic() + MAX_S
        pieces: list[str] = []
        length = 0
        try:
            for piece in self._template.generate(
                messages=messages, add_generation_prompt=prompt, **self._given, **more
            ):
                pieces.append(piece)
                length += len(piece)
                if length > LONGEST or time.monotonic() > until:
                    raise TemplateRefusedError("it does not come to an end")
        except TemplateRefusedError:
            raise
        except Exception as error:  # templates run anything that Jinja has
            raise TemplateRefusedError(f"{type(error).__name__}: {error}") from error
        return "".join(pieces)


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


def _strftime_now(form: str) -> str:
    return datetime.datetime.now().astimezone().strftime(form)

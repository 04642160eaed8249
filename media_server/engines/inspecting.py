"""What can be told of a chat model without loading its weights: `python -m media_server.engines.inspecting FILE`.

It is a process of its own, so that a file that llama.cpp breaks on breaks nothing else. It writes `Found` as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, NamedTuple

__all__ = ["Found", "inspect"]

MAX_S = 60.0


class Found(NamedTuple):
    """One sentence about a model."""

    level: Literal["ok", "note", "bad"]
    text: str


def inspect(path: Path) -> list[Found]:
    """What a GGUF file's template can do and how the model remembers, in sentences."""
    command = [sys.executable, "-m", __name__, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MAX_S, check=False)
    except subprocess.TimeoutExpired:
        return [Found("bad", "The language model's file cannot be read in a minute.")]
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        why = (done.stderr.strip().splitlines() or ["the reading process ended"])[-1]
        return [Found("bad", f"The language model's file cannot be read: {why}")]
    return [Found(*each) for each in json.loads(lines[-1])]


def _found(path: str) -> list[Found]:
    # imported here: the process that asks needs none of it
    import llama_cpp as lib

    from media_server.engines.loading import templates_of, vocabulary_only
    from media_server.engines.prompts import spoken
    from media_server.engines.vocabulary import Vocabulary

    model: Any = vocabulary_only(path)
    vocabulary = Vocabulary(model)
    usual, tools = templates_of(model)
    template = spoken(tools or usual, vocabulary).template
    level: Literal["ok", "note", "bad"] = "bad" if template.broken else "note" if template.thinking.opened else "ok"
    found = [Found(level, " ".join(template.describe()))]
    if lib.llama_model_is_recurrent(model) or lib.llama_model_is_hybrid(model):
        found.append(
            Found(
                "note",
                "The model keeps a running state in place of every token. It is saved at a few places of a "
                "conversation, which takes memory, and what lies between is computed again when a reply is withdrawn.",
            )
        )
    return found


if __name__ == "__main__":
    try:
        sys.stdout.write(json.dumps(_found(sys.argv[1])) + "\n")
    except ValueError as error:
        sys.exit(str(error))

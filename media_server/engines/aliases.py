"""Arguments of tools under what they mean in place of their names, for models that are too small to look that up. Pure.

Which of two values belongs to `x` and which to `y`, where only their descriptions tell, is a look back from a name to
its description. A model of a few million parameters does not learn it; shown the description as the name, it need not.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

__all__ = ["ArgumentAliases", "argument_aliases"]


class ArgumentAliases:
    """Labels of tools, a JSON list of functions in OpenAI's form. `tools` is the same list as the model is shown it."""

    def __init__(self, tools: str) -> None:
        functions = json.loads(tools)
        self._labels = {each["function"]["name"]: _labels(each["function"]) for each in functions}
        self._names = {tool: {v: k for k, v in labels.items()} for tool, labels in self._labels.items()}
        for each in functions:
            function = each["function"]
            labels, parameters = self._labels[function["name"]], function.get("parameters") or {}
            if not labels:
                continue
            properties = {
                labels.get(name, name): _without_description(schema) if name in labels else schema
                for name, schema in parameters["properties"].items()
            }
            required = [labels.get(name, name) for name in parameters.get("required", [])]
            function["parameters"] = parameters | {"properties": properties, "required": required}
        self.tools = json.dumps(functions, ensure_ascii=False)

    def shown(self, tool: str, arguments: str) -> str:
        """A call's arguments (JSON) as the model is shown them."""
        return _renamed(arguments, self._labels.get(tool, {}))

    def meant(self, tool: str, arguments: str) -> str:
        """A call's arguments as the model wrote them, under their names."""
        return _renamed(arguments, self._names.get(tool, {}))


@functools.lru_cache(64)
def argument_aliases(tools: str) -> ArgumentAliases:
    """Those of these tools; calls offer the same ones again and again."""
    return ArgumentAliases(tools)


def _labels(function: Mapping[str, Any]) -> dict[str, str]:
    """What each argument goes by, by its name; those without a description of their own keep their names."""
    properties = (function.get("parameters") or {}).get("properties") or {}
    described = {name: str(schema.get("description") or "").strip() for name, schema in properties.items()}
    said = Counter(described.values())
    return {name: text for name, text in described.items() if text and said[text] == 1 and text not in properties}


def _without_description(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in schema.items() if k != "description"}


def _renamed(arguments: str, names: Mapping[str, str]) -> str:
    given = json.loads(arguments)
    if not names or not isinstance(given, dict):
        return arguments
    return json.dumps({names.get(k, k): v for k, v in given.items()}, ensure_ascii=False)

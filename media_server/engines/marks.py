"""The marks that models write around thoughts and calls: which begin what, and what ends it. Pure.

All of them are known in every reply, since models also write the marks of other families.
"""

from __future__ import annotations

import re

__all__ = [
    "ALONE",
    "CALLS",
    "CONTROL",
    "CONTROL_BEGUN",
    "DIRECTIONS",
    "ESCAPED",
    "HEADERS",
    "LEAVE_A_THOUGHT",
    "MADE_UP",
    "OBSERVED",
    "OPEN_CALLS",
    "PASSED_OVER",
    "STRAY",
    "SURE",
    "THOUGHT",
    "THOUGHTS",
    "THOUGHT_ENDS",
    "TOLD",
    "TOLD_ENDS",
]

THOUGHTS = {
    "<think>": "</think>",
    "<think:opensource>": "</think:opensource>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<seed:think>": "</seed:think>",
    "<mm:think>": "</mm:think>",
    "[THINK]": "[/THINK]",
    "[THINKING]": "[/THINKING]",
    "[REASONING]": "[/REASONING]",
    "[THOUGHT]": "[/THOUGHT]",
    "[THOUGHTS]": "[/THOUGHTS]",
    "[think]": "[/think]",
    "[Think]": "[/Think]",
    "[thinking]": "[/thinking]",
    "[Thinking]": "[/Thinking]",
    "[thought]": "[/thought]",
    "[reasoning]": "[/reasoning]",
    "<cot>": "</cot>",
    "<unused94>": "<unused95>",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|inner_prefix|>": "<|inner_suffix|>",
    "<|channel>": "<channel|>",
    "<|open|>think<|sep|>": "<|close|>think<|sep|>",
    "<|think|>": "<|end|>",
    "Here are my reasoning steps:": "[BEGIN FINAL RESPONSE]",
    "Here is my thought process:": "Here is my response:",
    "◁think▷": "◁/think▷",
    "◁thinking▷": "◁/thinking▷",
}
DIRECTIONS = frozenset({"[think]", "[Think]", "[thinking]", "[Thinking]", "[thought]", "[reasoning]"})
"""Marks that may say how something is said, as `[laughs]` does: a thought only where its end comes."""
THOUGHT_ENDS = tuple(dict.fromkeys(THOUGHTS.values()))
LEAVE_A_THOUGHT = frozenset(THOUGHTS.values()) - {"<|end|>", "Here is my response:"}
"""Ends of thoughts that end nothing else: where nothing began one, the reply began within it."""

CALLS = {
    "<tool_call>": ("</tool_call>", "<|tool_call_end|>", "</tools>"),
    "<tool_calls>": ("</tool_calls>",),
    "<tool_calls:opensource>": ("</tool_calls:opensource>",),
    "<tool_call:opensource>": ("</tool_call:opensource>",),
    "<toolcall>": ("</toolcall>",),
    "<TOOLCALL>": ("</TOOLCALL>",),
    "<tools>": ("</tools>", "</tool_call>"),
    "<tool_code>": ("</tool_code>",),
    "<tool_request>": ("</tool_request>",),
    "<function_call>": ("</function_call>",),
    "[TOOL_CALL]": ("[/TOOL_CALL]", "[END_TOOL_CALL]"),
    "[tool_call]": ("[/tool_call]", "[end_tool_call]"),
    "[TOOL_REQUEST]": ("[END_TOOL_REQUEST]", "[/TOOL_REQUEST]"),
    "<function_calls>": ("</function_calls>",),
    "<start_function_call>": ("<end_function_call>",),
    "<functioncall>": ("</functioncall>", "<|endoftext|>"),
    "<code>": ("</code>",),
    "<minimax:tool_call>": ("</minimax:tool_call>",),
    "<seed:tool_call>": ("</seed:tool_call>",),
    "<atem:function_calls>": ("</atem:function_calls>",),
    "<｜DSML｜function_calls>": ("</｜DSML｜function_calls>",),
    "<｜DSML｜tool_calls>": ("</｜DSML｜tool_calls>",),
    "<｜tool▁calls▁begin｜>": ("<｜tool▁calls▁end｜>",),
    "<｜tool_calls_begin｜>": ("<｜tool_calls_end｜>",),
    "<｜tool calls begin｜>": ("<｜tool calls end｜>",),
    "<｜tool\\_calls\\_begin｜>": ("<｜tool\\_calls\\_end｜>",),
    "<|tool▁calls▁begin|>": ("<|tool▁calls▁end|>",),
    "<｜tool▁calls｜>": ("<｜/tool▁calls｜>",),
    "<｜tool▁call▁begin｜>": ("<｜tool▁call▁end｜>",),
    "<|tool_calls_section_begin|>": ("<|tool_calls_section_end|>",),
    "<|tool_call_begin|>": ("<|tool_call_end|>",),
    "<|tool_call_start|>": ("<|tool_call_end|>",),
    "<|tool_calls|>": ("<|calls|>",),
    "<|tool_call:begin|>": ("<|tool_call:end|>",),
    "<|tools_prefix|>": ("<|tools_suffix|>",),
    "<|START_ACTION|>": ("<|END_ACTION|>",),
    "<|action_start|>": ("<|action_end|>",),
    "<|tool_call>": ("<tool_call|>",),
    "<|open|>tools<|sep|>": ("<|close|>tools<|sep|>",),
    "<｜DSML｜invoke name=": ("</｜DSML｜invoke>",),
    "<function=": ("</function>",),
    "<function name=": ("</function>",),
    "<invoke name=": ("</invoke>",),
}
"""Marks that are closed. Those that end in `=` belong to the call themselves."""

OPEN_CALLS = (
    *("✿FUNCTION✿:", "[TOOL_CALLS]", "<|tool_call|>", "<|function_call|>", "functools["),
    "function call<|role_sep|>",
)
"""Marks that nothing closes: the call's own brackets do."""

MADE_UP = {
    "<tool_response>": ("</tool_response>",),
    "<|tool_response>": ("<tool_response|>",),
    "<|tool_response_start|>": ("<|tool_response_end|>",),
    "<|START_TOOL_RESULT|>": ("<|END_TOOL_RESULT|>",),
    "<function_results>": ("</function_results>",),
    "[TOOL_RESULTS]": ("[/TOOL_RESULTS]",),
    "[TOOL_RESULT]": ("[/TOOL_RESULT]",),
    "[tool_result]": ("[/tool_result]",),
    "[Tool result:": ("]",),
    "[Tool response:": ("]",),
    "[Tool output:": ("]",),
    "<results>": ("</results>",),
    "<tool_result>": ("</tool_result>",),
    "<tool_results>": ("</tool_results>",),
    "<tool_output>": ("</tool_output>",),
    "<function_response>": ("</function_response>",),
    "<function_result>": ("</function_result>",),
    "<start_function_response>": ("<end_function_response>",),
    "<observation>": ("</observation>",),
}
"""What begins a result, which is not for the model to write."""

HEADERS = {"<|channel|>": "<|message|>", "<|start|>": "<|message|>"}
"""What begins a message that says in its head for whom it is."""

PASSED_OVER = {"<|open|>": "<|sep|>", "<|close|>": "<|sep|>", "<co:": ">", "</co:": ">"}
"""What has a mark at either end and is itself one."""

STRAY = (
    *(mark for mark in THOUGHT_ENDS),
    *(mark for marks in CALLS.values() for mark in marks),
    *(mark for marks in MADE_UP.values() for mark in marks if mark != "]"),
    *(
        "<response>",
        "</response>",
        "<answer>",
        "</answer>",
        "<co>",
        "</co>",
        "</parameter>",
        "</param>",
        "</arg_value>",
    ),
    *("</assistant>", "<assistant>", "<s>", "</s>", "<unk>", "<pad>", "<eos>", "<bos>", "<sep>", "</tool_response>"),
    *("<start_of_turn>", "<end_of_turn>", "<turn|>", "<|turn>", "<end_of_sentence>", "<beginning_of_sentence>"),
    *("[/TOOL_CALLS]", "[ARGS]", "[INST]", "[/INST]", "[END FINAL RESPONSE]", "[BEGIN FINAL RESPONSE]"),
    *("<seed:bos>", "<seed:eos>", "]<]minimax[>[", "[e~[", "]~b]", "<SPECIAL_11>", "<SPECIAL_12>", "<SPECIAL_10>"),
    *("<seed:cot_budget_reflect>", "</seed:cot_budget_reflect>"),
    *("<|begin|>assistant", "<|python_tag|>", "<|endoftext|>", "<|message|>", "<|call|>", "<|return|>"),
    *("<<function>>", "<bot_end>", "✿RESULT✿:", "✿RESULT✿", "✿RETURN✿:", "✿RETURN✿"),
    *("<think/>", "<think />", "<|im_end|>assistant", "<|end|>", "<|content|>", "<|role_sep|>"),
)
"""What is left out where it stands alone."""

CONTROL = re.compile(r"<[|｜][^\s<>|｜]{1,60}[|｜]?>")
CONTROL_BEGUN = re.compile(r"<[|｜][^\s<>|｜]{0,60}[|｜]?\Z")
"""Any other mark in the form of a control token is left out too."""

WITHIN = (
    *(
        "<|constrain|>",
        "<|channel|>",
        "<|eom|>",
        "<|eot|>",
        "<|eom_id|>",
        "<|tool_call_argument_begin|>",
        "<｜tool▁sep｜>",
    ),
    *("<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<|tool_call_begin|>", "<|tool_call_end|>", "[CALL_ID]", '<|"|>'),
    *("<|tool_call:name|>", "<|tool_call:args|>", "<|plugin|>", "<arg_key>", "</arg_key>", "<arg_value>", "<tool_sep>"),
    *("<arg_key:opensource>", "</arg_key:opensource>", "<arg_value:opensource>", "</arg_value:opensource>"),
    *("<tool_sep:opensource>", "｜DSML｜"),
)
"""Marks between the parts of a call."""

CLOSED_ONLY_BY = ("</think>", "<channel|>", "[/THINK]")
"""Ends of thoughts that some templates name without the beginning."""

# what is found without a mark is handed on as if it had one
ALONE = "alone "
"""What stands before the name of a tool that is all that a line or a sentence has."""
THOUGHT = "thought "
"""What stands before the end of a thought whose mark is one at this place only."""
SURE = "surely called"
"""The mark of a call in words that leave no doubt."""
TOLD = "told in elements"
"""The mark of a call whose name and arguments are elements."""
TOLD_ENDS = ("</arguments>", "</parameters>", "</args>", "</params>", "</input>")
ESCAPED = "escaped "
"""What stands before the number of the way in which a mark is escaped."""
OBSERVED = "Observation:"
"""What a model writes behind its own call when it makes up the result."""

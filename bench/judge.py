"""What this project reads in replies, beside what llama.cpp's own server reads in them.

    .venv/bin/pip install xllamacpp
    .venv/bin/python -m bench.judge FOLDER

FOLDER holds chat templates (`*.jinja`). For each of them a language model is made that carries it and that can say one
thing only: a call as the family writes it, a text, or a thought before either. The server of llama.cpp, which the
package xllamacpp holds, answers with that model; what it makes of the reply is compared with what `reading.py` does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import numpy as np

from media_server.engines.reading import Called, ReplyForm, Thought, Unread, form_of
from media_server.engines.templates import ends_in_thought

PATIENCE_S = 90
WIDTH, CONTEXT, PIECE = 256, 16384, 4
TEXT, THOUGHT = "It is sunny in Paris today.", "I look out of the window."
ARGUMENTS = {"city": "Paris", "days": 2}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "a city"}, "days": {"type": "integer"}},
                "required": ["city"],
            },
        },
    }
]


class Read(NamedTuple):
    """What a reader made of a reply."""

    text: str
    thought: str
    calls: list[Any]


def write_parrot(path: Path, template: str, reply: str) -> None:
    """A model that answers everything with `reply`: each piece of it is a token that only its successor can follow."""
    pieces = _pieces(reply)
    names = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), *pieces]
    size = len(names)
    first = 259
    w = gguf.GGUFWriter(str(path), "llama")
    w.add_context_length(CONTEXT)
    w.add_embedding_length(WIDTH)
    w.add_block_count(1)
    w.add_feed_forward_length(WIDTH)
    w.add_head_count(4)
    w.add_head_count_kv(4)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_dimension_count(WIDTH // 4)
    w.add_vocab_size(size)
    w.add_tokenizer_model("llama")
    w.add_token_list(names)
    w.add_token_scores([0.0] * first + [-1e6] * len(pieces))
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    w.add_token_types([*kinds, *[gguf.TokenType.BYTE] * 256, *[gguf.TokenType.NORMAL] * len(pieces)])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_add_bos_token(False)
    w.add_add_space_prefix(False)
    w.add_chat_template(template)
    embedding = np.zeros((size, WIDTH), np.float32)
    embedding[:first, 0] = 1
    embedding[np.arange(first, size), np.arange(1, len(pieces) + 1)] = 1
    output = np.zeros((size, WIDTH), np.float32)
    output[np.arange(first, size), np.arange(len(pieces))] = 10
    output[2, len(pieces)] = 10
    zeros = np.zeros((WIDTH, WIDTH), np.float32)
    w.add_tensor("token_embd.weight", embedding)
    w.add_tensor("output.weight", output)
    w.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    for name in ("attn_norm", "ffn_norm"):
        w.add_tensor(f"blk.0.{name}.weight", np.ones(WIDTH, np.float32))
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        w.add_tensor(f"blk.0.{name}.weight", zeros)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def _pieces(reply: str) -> list[str]:
    """The reply in pieces of which no two are the same; none is so short that it would be found in prompts."""
    pieces: list[str] = []
    begin = 0
    while begin < len(reply):
        end = begin + PIECE
        while end < len(reply) and reply[begin:end] in pieces:
            end += 1
        pieces.append(reply[begin:end])
        begin = end
    while len(pieces) > 1 and (len(pieces[-1]) < PIECE - 1 or pieces[-1] in pieces[:-1]):
        last = pieces.pop()
        pieces[-1] += last
    return pieces


def asked(template: str, reply: str, path: str) -> dict[str, Any]:
    """What llama.cpp's server answers with the model that can only say `reply`."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    # threads that wait for each other are slow where others work as well
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.use_jinja = True
    params.warmup = False
    params.verbosity = -1
    messages = [{"role": "user", "content": "What is the weather?"}]
    body = {"messages": messages, "tools": TOOLS, "temperature": 0, "max_tokens": 400}
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "parrot.gguf"
        write_parrot(model, template, reply)
        params.model.path = str(model)
        server = xllamacpp.Server(params)
        request = urllib.request.Request(
            f"{server.listening_address}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as response:
            answer: dict[str, Any] = json.load(response)
    return answer


def of_llama_cpp(template: str, reply: str) -> Read | str:
    """What llama.cpp's server reads in a reply; a sentence where it fails."""
    try:
        message = asked(template, reply, "/v1/chat/completions")["choices"][0]["message"]
    except urllib.error.HTTPError as e:
        return f"{e.code} {e.read().decode()[:160]}"
    calls = [(c["function"]["name"], _json(c["function"]["arguments"])) for c in message.get("tool_calls") or ()]
    return Read((message.get("content") or "").strip(), (message.get("reasoning_content") or "").strip(), calls)


def _json(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def ours(form: ReplyForm, reply: str, in_thought: bool) -> Read:
    reader = form.reader(frozenset({"get_weather"}), in_thought, json.dumps(TOOLS))
    pieces = [p for character in reply for p in reader.push(character)] + reader.flush()
    text = "".join(p for p in pieces if isinstance(p, str))
    thought = "".join(p.text for p in pieces if isinstance(p, Thought))
    calls = [(p.name, json.loads(p.arguments)) for p in pieces if isinstance(p, Called)]
    unread = "".join(f" UNREAD({p.why})" for p in pieces if isinstance(p, Unread))
    return Read((text + unread).strip(), thought.strip(), calls)


class Case(NamedTuple):
    """A reply, and what is to be read in it."""

    name: str
    reply: str
    right: Read


def cases(form: ReplyForm, prompt: str) -> Iterator[Case]:
    """What a model of this form may reply to a prompt."""
    opened = ends_in_thought(prompt, form.thinking)
    begin, end = form.thinking or ("", "")
    if opened:
        begin = ""
    calls = [("get_weather", ARGUMENTS)]
    one = form.written("get_weather", json.dumps(ARGUMENTS))
    if not opened:
        yield Case("call", one, Read("", "", calls))
        yield Case("text", TEXT, Read(TEXT, "", []))
    if form.thinking:
        yield Case("thought and text", f"{begin}{THOUGHT}{end}{TEXT}", Read(TEXT, THOUGHT, []))
        yield Case("thought and call", f"{begin}{THOUGHT}{end}{one}", Read("", THOUGHT, calls))


def judge(file: Path) -> None:
    """Print what both make of each reply of a template's form."""
    template = file.read_text()
    form = form_of(template)
    try:
        prompt = asked(template, "-", "/apply-template")["prompt"]
    except urllib.error.HTTPError as e:
        print(f"no prompt   {file.stem}: {e.read().decode()[:120]}", flush=True)
        return
    for case in cases(form, prompt):
        theirs = of_llama_cpp(template, case.reply)
        mine = ours(form, case.reply, ends_in_thought(prompt, form.thinking))
        kind = ("both right", "only theirs", "only ours", "neither")[(mine != case.right) + 2 * (theirs != case.right)]
        print(f"{kind:12}{file.stem} ({form.name}), {case.name}", flush=True)
        if kind != "both right":
            print(f"    reply  {case.reply!r}\n    theirs {theirs}\n    ours   {mine}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if options.path.is_file():
        judge(options.path)
        sys.stdout.flush()
        os._exit(0)  # that server does not always end
    counts: Counter[str] = Counter()
    for file in sorted(options.path.glob("*.jinja")):
        # one process each, for the same reason
        command = [sys.executable, "-m", "bench.judge", str(file)]
        try:
            told = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S).stdout
        except subprocess.TimeoutExpired as e:
            told = f"{(e.stdout or b'').decode()}no answer   {file.stem}\n"
        print(told, end="", flush=True)
        counts.update(line[:12].strip() for line in told.splitlines() if not line.startswith(" "))
    print(", ".join(f"{kind}: {n}" for kind, n in counts.most_common()))


if __name__ == "__main__":
    main()

"""What this project reads in replies, beside what llama.cpp's own server reads in them.

    .venv/bin/pip install xllamacpp
    .venv/bin/python -m bench.judge FOLDER

FOLDER holds chat templates (`*.jinja`). For each of them a language model is made that carries it and that can say one
thing only: a call as the family writes it, two of them, or a thought and an answer. The server of llama.cpp, which the
package xllamacpp holds, answers with that model; what it makes of the reply is compared with what `reading.py` does.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import numpy as np

from media_server.engines.reading import Called, ReplyForm, Thought, Unread, form_of

WIDTH, CONTEXT, PIECE = 256, 16384, 4
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
    calls: list[tuple[str, Any]]


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


def of_llama_cpp(model: Path, content: str) -> Read | str:
    """What llama.cpp's server makes of the model's reply; a sentence where it fails."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.use_jinja = True
    params.warmup = False
    params.verbosity = -1
    params.endpoint_metrics = False
    server = xllamacpp.Server(params)
    body = {"messages": [{"role": "user", "content": content}], "tools": TOOLS, "temperature": 0, "max_tokens": 400}
    request = urllib.request.Request(
        f"{server.listening_address}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            message = json.load(response)["choices"][0]["message"]
    except urllib.error.HTTPError as e:
        return f"{e.code} {e.read().decode()[:160]}"
    calls = [
        (c["function"]["name"], _json(c["function"]["arguments"])) for c in message.get("tool_calls") or ()
    ]
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


def replies(form: ReplyForm) -> Iterator[tuple[str, str]]:
    """What is asked of the reader, by its name."""
    one = form.written("get_weather", json.dumps(ARGUMENTS))
    yield "one call", one
    yield "text", "It is sunny in Paris today."
    if form.thinking:
        begin, end = form.thinking
        yield "thought", f"{begin}I look out of the window.{end}\nIt is sunny in Paris today."
        yield "thought and call", f"{begin}I look it up.{end}\n{one}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="parts of templates' names; all without")
    options = parser.parse_args()
    same = differing = 0
    for file in sorted(options.folder.glob("*.jinja")):
        if options.names and not any(name in file.name for name in options.names):
            continue
        template = file.read_text()
        form = form_of(template)
        for name, reply in replies(form):
            with tempfile.TemporaryDirectory() as folder:
                model = Path(folder) / "parrot.gguf"
                write_parrot(model, template, reply)
                theirs = of_llama_cpp(model, "What is the weather?")
            mine = [ours(form, reply, in_thought) for in_thought in (False, True)]
            agree = isinstance(theirs, Read) and any(theirs == each for each in mine)
            same, differing = same + agree, differing + (not agree)
            print(f"{'same' if agree else 'DIFF'} {file.stem} ({form.name}), {name}", flush=True)
            if not agree:
                print(f"    reply  {reply!r}\n    theirs {theirs}\n    ours   {mine[0]}", flush=True)
    print(f"{same} the same, {differing} different")


if __name__ == "__main__":
    main()

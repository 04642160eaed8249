"""Train the starter chat model and write it as GGUF.

    python train_chat.py --out ../starter/chat

Qwen2 shape (llama.cpp architecture `qwen2`), byte-level BPE, ChatML. Callers' turns carry a part of the
loss too, so that the probability of <|im_end|> after them says whether a sentence is complete.
`--init FILE.gguf` goes on from a model of the same shape, with its tokenizer.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from dialogues import chatml, dialogue, drill
from loop import Kept, Optimizers, Progress, add_options
from starter_pack import CHAT
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Qwen2Config, Qwen2ForCausalLM

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>", "<tools>", "</tools>"]
WIDTH, LAYERS, HEADS, FEED_FORWARD, CONTEXT, VOCABULARY = 192, 6, 3, 512, 1024, 1280
TOKENS_PER_BATCH = 3000
SIMPLE_FIRST = 16_000
"""Dialogues without tools at the start: copying is learned sooner from short ones."""
SIMPLE_A_STEP = 15
"""About so many of them are in a batch."""
WEIGHTS = {"system": 0.02, "user": 0.25, "tool": 0.02, "assistant": 1.0}
"""Of the roles in the loss."""
DECISION = 10.0
"""Weight of the first token of an answer where tools are offered: it says whether one is called …"""
CHOICE = 3.0
"""… and of the rest of the call, which must be right to the letter, and the first token of other answers …"""
VALUE = 12.0
"""… and of the first token of each argument's value: there it is decided which value belongs to which argument."""
_VALUES = re.compile(r'": "?(?=[^{])')
DRILLS = 0.6
"""Share of short drills in calling tools, once tools come at all."""
TEMPLATE = """\
{%- macro line(tool) -%}
{%- set f = tool.function if tool.function is defined else tool -%}
{%- set p = f.parameters if f.parameters is defined else {} -%}
{{- '{"description": ' ~ ((f.description or "") | tojson) ~ ', "name": ' ~ (f.name | tojson) ~ ', "arguments": {' -}}
{%- for name, a in (p.properties if p.properties is defined else {}).items() -%}
{%- set kind = a.enum | join("|") if a.enum is defined else (a.type if a.type is defined else "string") -%}
{{- (name | tojson) ~ ': ' ~ ((kind ~ (": " ~ a.description if a.description is defined else "")) | tojson) -}}
{%- if not loop.last -%}{{- ', ' -}}{%- endif -%}
{%- endfor -%}
{{- '}}' -}}
{%- endmacro -%}
{%- macro block() -%}
{{- '<tools>\\n' -}}
{%- for tool in tools -%}{{- line(tool) ~ '\\n' -}}{%- endfor -%}
{{- '</tools>' -}}
{%- endmacro -%}
{%- if tools and messages[0]['role'] != 'system' -%}
{{- '<|im_start|>system\\nYou are a helpful voice assistant.\\n\\n' ~ block() ~ '<|im_end|>\\n' -}}
{%- endif -%}
{%- for m in messages -%}
{{- '<|im_start|>' ~ m['role'] ~ '\\n' ~ (m['content'] or '') -}}
{%- if loop.first and tools and m['role'] == 'system' -%}{{- '\\n\\n' ~ block() -}}{%- endif -%}
{%- for call in (m['tool_calls'] or []) if m['tool_calls'] is defined -%}
{%- set c = call.function if call.function is defined else call -%}
{%- set given = c.arguments if c.arguments is string else (c.arguments | tojson) -%}
{{- '<tool_call>\\n{"name": ' ~ (c.name | tojson) ~ ', "arguments": ' ~ given ~ '}\\n</tool_call>' -}}
{%- endfor -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""
"""Renders tools (JSON schemas, as of OpenAI) in short lines, since a small model has a small context."""


def build_tokenizer() -> Tokenizer:
    """Byte-level BPE of what is said in dialogues."""
    t = Tokenizer(models.BPE())
    # no merges of digits: what is said digit by digit is written so
    digits = pre_tokenizers.Digits(individual_digits=True)
    t.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    t.train_from_iterator((chatml(dialogue(10_000_000 + i).messages) for i in range(4000)), trainer)
    return as_llama_cpp(t)


def as_llama_cpp(t: Tokenizer) -> Tokenizer:
    """With the special tokens, splitting as llama.cpp does; without merges of digits that gives the same tokens."""
    t.add_special_tokens(SPECIAL)
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    return t


def tensor_names() -> dict[str, str]:
    """GGUF's names of the tensors, and transformers' names."""
    names = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    for i in range(LAYERS):
        ours, theirs = f"blk.{i}", f"model.layers.{i}"
        names |= {
            f"{ours}.attn_norm.weight": f"{theirs}.input_layernorm.weight",
            f"{ours}.ffn_norm.weight": f"{theirs}.post_attention_layernorm.weight",
            f"{ours}.attn_output.weight": f"{theirs}.self_attn.o_proj.weight",
        }
        names |= {f"{ours}.attn_{a}.{p}": f"{theirs}.self_attn.{a}_proj.{p}" for a in "qkv" for p in ("weight", "bias")}
        names |= {f"{ours}.ffn_{a}.weight": f"{theirs}.mlp.{a}_proj.weight" for a in ("gate", "up", "down")}
    return names


def write_gguf(model: Qwen2ForCausalLM, tok: Tokenizer, path: Path) -> None:
    w = gguf.GGUFWriter(str(path), "qwen2")
    w.add_name("starter chat")
    w.add_context_length(CONTEXT)
    w.add_embedding_length(WIDTH)
    w.add_block_count(LAYERS)
    w.add_feed_forward_length(FEED_FORWARD)
    w.add_head_count(HEADS)
    w.add_head_count_kv(HEADS)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_freq_base(10000.0)
    w.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    vocab = tok.get_vocab()
    tokens = sorted(vocab, key=vocab.__getitem__)
    kinds = {t: gguf.TokenType.CONTROL for t in SPECIAL[:3]} | {t: gguf.TokenType.USER_DEFINED for t in SPECIAL[3:]}
    merges = json.loads(tok.to_str())["model"]["merges"]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(tokens)
    w.add_token_types([kinds.get(t, gguf.TokenType.NORMAL) for t in tokens])
    w.add_token_merges([" ".join(m) if isinstance(m, list) else m for m in merges])
    w.add_eos_token_id(vocab["<|im_end|>"])
    w.add_bos_token_id(vocab["<|endoftext|>"])
    w.add_pad_token_id(vocab["<|endoftext|>"])
    w.add_add_bos_token(False)
    w.add_chat_template(TEMPLATE)
    state = model.state_dict()
    for name, key in tensor_names().items():
        a = state[key].float().numpy()
        w.add_tensor(name, a if a.ndim == 1 else a.astype(np.float16))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def read_gguf(path: Path) -> tuple[Tokenizer, dict[str, torch.Tensor]]:
    """The tokenizer of a file and its weights, by transformers' names."""
    reader = gguf.GGUFReader(str(path))
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ")) for m in reader.fields["tokenizer.ggml.merges"].contents()]
    tok = as_llama_cpp(Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges)))
    tensors = {t.name: torch.tensor(np.asarray(t.data, np.float32)) for t in reader.tensors}
    state = {key: tensors[name] for name, key in tensor_names().items()}
    return tok, state | {"lm_head.weight": state["model.embed_tokens.weight"]}


Sample = tuple[list[int], list[float]]


def samples(tok: Tokenizer, seed: int, simple_first: int) -> Iterator[Sample]:
    """Token ids and loss weights of endless dialogues from `seed` on."""
    starts = {role: tok.encode(f"<|im_start|>{role}\n").ids for role in WEIGHTS}
    for i in itertools.count():
        if i < simple_first:
            example = dialogue(seed + i, offered="none")
        elif random.Random(seed - i).random() < DRILLS:
            example = drill(seed + i)
        else:
            example = dialogue(seed + i)
        offers = "<tools>" in example.messages[0]["content"]
        ids: list[int] = []
        weights: list[float] = []
        for k, message in enumerate(example.messages):
            encoded = tok.encode(message["content"] + "<|im_end|>\n")
            head, body = starts[message["role"]], encoded.ids
            ids += head + body
            weight = WEIGHTS[message["role"]]
            # the end of a turn that breaks off is not to be learned: it is what tells that more is to come
            end = 0.0 if k in example.cut else weight
            turn = [weight] * (len(body) - 2) + [end, 0.02]
            if message["role"] == "assistant":
                deciding = len(turn) - 2 if message["content"].startswith("<tool_call>") else 1
                turn[:deciding] = [DECISION if offers else CHOICE, *[CHOICE] * (deciding - 1)]
                if deciding > 1:
                    for at in _value_tokens(message["content"], encoded.offsets):
                        turn[at] = VALUE
            weights += [0.02] * len(head) + turn
        yield ids[:CONTEXT], weights[:CONTEXT]


def _value_tokens(call: str, offsets: list[tuple[int, int]]) -> Iterator[int]:
    """Where the values of a call's arguments begin, as indices of tokens."""
    for match in _VALUES.finditer(call, call.index('"arguments": {')):
        yield next(i for i, (start, end) in enumerate(offsets) if start <= match.end() < end)


def batches(source: Iterator[Sample], rng: random.Random) -> Iterator[list[Sample]]:
    """Endless batches of about TOKENS_PER_BATCH tokens, dialogues of like length together."""
    while True:
        pool = sorted((next(source) for _ in range(512)), key=lambda s: len(s[0]))
        made, batch = [], []
        for sample in pool:
            if batch and len(sample[0]) * (len(batch) + 1) > TOKENS_PER_BATCH:
                made.append(batch)
                batch = []
            batch.append(sample)
        made.append(batch)
        rng.shuffle(made)
        yield from made


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(ap, 24000, "a GGUF file of this shape, with its tokenizer", CHAT.parent)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    args.out.mkdir(parents=True, exist_ok=True)
    tok, weights = read_gguf(args.init) if args.init else (build_tokenizer(), None)
    config = Qwen2Config(
        vocab_size=tok.get_vocab_size(), hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=HEADS, intermediate_size=FEED_FORWARD, max_position_embeddings=CONTEXT, rope_theta=10000.0,
        tie_word_embeddings=True, rms_norm_eps=1e-6, attn_implementation="sdpa" if args.device == "cuda" else "eager",
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    if weights:
        model.load_state_dict(weights)
    model.to(args.device)
    size = sum(p.numel() for p in model.parameters()) / 1e6
    print(f"{size:.2f} M parameters, vocabulary {tok.get_vocab_size()}", flush=True)
    optimizers = Optimizers(model.named_parameters(), muon=0.015, adam=3e-3, beta2=0.95)
    kept = Kept(args.keep, model, optimizers)
    progress = Progress(args.steps, ("loss", "answers", "scale", "tokens"), kept.step)
    seed = args.seed + 1000 * kept.step
    simple = 0 if args.init else max(0, SIMPLE_FIRST - SIMPLE_A_STEP * kept.step)

    def surprise(x: torch.Tensor) -> torch.Tensor:
        """Cross entropy of each token after the first, [items * (positions - 1)]."""
        with torch.autocast(args.device, torch.bfloat16):
            logits = model(input_ids=x, use_cache=False).logits[:, :-1]
        return F.cross_entropy(logits.float().flatten(0, 1), x[:, 1:].flatten(), reduction="none")

    compiled = torch.compile(surprise, dynamic=True)
    source = batches(samples(tok, seed, simple), random.Random(seed))
    for step in range(kept.step + 1, args.steps + 1):
        batch = next(source)
        done = step / args.steps
        scale = args.rate * min(1, step / 100) * min(1, (1 - done) / 0.5 + 0.01)
        width = max(len(ids) for ids, _ in batch)
        x = torch.zeros(len(batch), width, dtype=torch.long)
        w = torch.zeros(len(batch), width)
        for i, (ids, weights) in enumerate(batch):
            x[i, : len(ids)] = torch.tensor(ids)
            w[i, : len(ids)] = torch.tensor(weights)
        x, w = x.to(args.device), w[:, 1:].flatten().to(args.device)
        each = compiled(x)
        loss = (each * w).sum() / w.sum()
        optimizers.step(loss, scale)
        progress.note(loss.item(), each[w >= 1.0].mean().item(), scale, x.numel())
        kept.keep(step)
        if step % 500 == 0:
            write_gguf(model, tok, args.out / "starter-chat.gguf")
    write_gguf(model, tok, args.out / "starter-chat.gguf")
    kept.done()


if __name__ == "__main__":
    main()

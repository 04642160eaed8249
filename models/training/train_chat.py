"""Train the starter chat model and write it as GGUF.

    python train_chat.py --minutes 75 --threads 1 --out ../starter/chat

Qwen2 shape (llama.cpp architecture `qwen2`), byte-level BPE, ChatML. Callers' turns carry a part of the
loss too, so that the probability of <|im_end|> after them says whether a sentence is complete.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from dialogues import chatml, render
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Qwen2Config, Qwen2ForCausalLM

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>", "<tools>", "</tools>"]
WIDTH, LAYERS, HEADS, FEED_FORWARD, CONTEXT, VOCABULARY = 192, 6, 3, 512, 1024, 1024
TOKENS_PER_BATCH = 6000
CALLER_LOSS = 0.25
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_tokenizer() -> Tokenizer:
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    t.train_from_iterator((chatml(render(10_000_000 + i)) for i in range(4000)), trainer)
    t.add_special_tokens(SPECIAL)
    return t


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
    names = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    for i in range(LAYERS):
        names |= {f"blk.{i}.attn_norm.weight": f"model.layers.{i}.input_layernorm.weight"}
        names |= {f"blk.{i}.ffn_norm.weight": f"model.layers.{i}.post_attention_layernorm.weight"}
        names |= {
            f"blk.{i}.attn_{a}.{p}": f"model.layers.{i}.self_attn.{a}_proj.{p}"
            for a in "qkv"
            for p in ("weight", "bias")
        }
        names |= {f"blk.{i}.attn_output.weight": f"model.layers.{i}.self_attn.o_proj.weight"}
        names |= {f"blk.{i}.ffn_{a}.weight": f"model.layers.{i}.mlp.{a}_proj.weight" for a in ("gate", "up", "down")}
    state = model.state_dict()
    for name, key in names.items():
        a = state[key].float().numpy()
        w.add_tensor(name, a if a.ndim == 1 else a.astype(np.float16))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def batches(tok: Tokenizer, rng: random.Random):
    """Endless batches (ids, loss weights) of about TOKENS_PER_BATCH tokens, dialogues of like length together."""
    starts = {r: tok.encode(f"<|im_start|>{r}\n").ids for r in ("system", "user", "assistant")}
    seed = 1
    while True:
        pool = []
        for _ in range(384):
            ids: list[int] = []
            weights: list[float] = []
            for m in render(seed):
                head = starts[m["role"]]
                body = tok.encode(m["content"] + "<|im_end|>\n").ids
                w = {"system": 0.05, "user": CALLER_LOSS, "assistant": 1.0}[m["role"]]
                ids += head + body
                weights += [0.05] * len(head) + [w] * (len(body) - 1) + [0.05]
            pool.append((ids[:CONTEXT], weights[:CONTEXT]))
            seed += 1
        pool.sort(key=lambda p: len(p[0]))
        made, batch = [], []
        for p in pool:
            if batch and len(p[0]) * (len(batch) + 1) > TOKENS_PER_BATCH:
                made.append(batch)
                batch = []
            batch.append(p)
        made.append(batch)
        rng.shuffle(made)
        yield from made


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--minutes", type=float, default=75)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--out", type=Path, default=Path("../starter/chat"))
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    args.out.mkdir(parents=True, exist_ok=True)
    tok = build_tokenizer()
    config = Qwen2Config(
        vocab_size=tok.get_vocab_size(), hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=HEADS, intermediate_size=FEED_FORWARD, max_position_embeddings=CONTEXT, rope_theta=10000.0,
        tie_word_embeddings=True, rms_norm_eps=1e-6, attn_implementation="sdpa",
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    print(
        f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, vocabulary {tok.get_vocab_size()}",
        flush=True,
    )
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    optimizers = [
        (torch.optim.Muon(matrices, lr=0.02, momentum=0.95, weight_decay=0.01), 0.015),
        (torch.optim.AdamW(others, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.0), 3e-3),
    ]
    start, step, seen = time.time(), 0, []
    for batch in batches(tok, random.Random(0)):
        done = (time.time() - start) / (60 * args.minutes)
        if done >= 1:
            break
        scale = min(1, (step + 1) / 100) * min(1, (1 - done) / 0.5 + 0.01)
        width = max(len(ids) for ids, _ in batch)
        x = torch.zeros(len(batch), width, dtype=torch.long)
        w = torch.zeros(len(batch), width)
        for i, (ids, weights) in enumerate(batch):
            x[i, : len(ids)] = torch.tensor(ids)
            w[i, : len(ids)] = torch.tensor(weights)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=x).logits[:, :-1]
        each = F.cross_entropy(logits.float().flatten(0, 1), x[:, 1:].flatten(), reduction="none")
        w = w[:, 1:].flatten()
        loss = (each * w).sum() / w.sum()
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, rate in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * scale
            optimizer.step()
        step += 1
        answers = w == 1.0
        seen.append((loss.item(), each[answers].mean().item()))
        if step % 50 == 0:
            a, b = np.mean(seen[-50:], axis=0)
            print(
                f"step {step}  {time.time() - start:5.0f} s  loss {a:.4f}  answers {b:.4f}  scale {scale:.3f}",
                flush=True,
            )
        if step % 250 == 0:
            write_gguf(model, tok, args.out / "starter-chat.gguf")
    write_gguf(model, tok, args.out / "starter-chat.gguf")
    print(f"{step} steps of about {TOKENS_PER_BATCH} tokens", flush=True)


if __name__ == "__main__":
    main()

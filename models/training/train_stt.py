"""Train the starter recogniser, a small English-only Whisper, and write it for faster-whisper (CTranslate2, int8).

    python synth.py --out /tmp/clips.pkl && python synth.py --test --out /tmp/test.pkl
    python train_stt.py train --data /tmp/clips.pkl --minutes 120 --out ../starter/stt
    python train_stt.py evaluate --model ../starter/stt --data /tmp/test.pkl

`--init FOLDER` goes on from a CTranslate2 folder of the same shape instead of from nothing.
From nothing, a character CTC loss on the encoder and short clips first are what gets it off the plateau.
"""

from __future__ import annotations

import argparse
import json
import pickle
import random
import shutil
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import ctranslate2
import numpy as np
import torch
import torch.nn.functional as F
from ctranslate2_weights import whisper_state
from faster_whisper.feature_extractor import FeatureExtractor
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import WhisperConfig, WhisperForConditionalGeneration

WIDTH, BPE, BATCH = 192, 700, 32
SPECIAL = [
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>",
    "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>", *[f"<|{i * 0.02:.2f}|>" for i in range(1501)],
]  # fmt: skip
CHARACTERS = {c: i + 1 for i, c in enumerate(" abcdefghijklmnopqrstuvwxyz'")}
Item = tuple[np.ndarray, str | None]


def build_tokenizer(texts: list[str]) -> Tokenizer:
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=BPE, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tok.train_from_iterator([" " + t for t in texts], trainer)
    tok.add_special_tokens(SPECIAL)
    return tok


def not_speech(n: int) -> list[np.ndarray]:
    """Silence, hiss, rumble, hum, clicks, chords, bursts like a cough: what must give empty text."""
    rng = np.random.default_rng(0)
    out = []
    for k in range(n):
        size = int(16000 * rng.uniform(0.5, 3))
        t = np.arange(size) / 16000
        level = 10 ** rng.uniform(-4, -1)
        x = rng.normal(size=size) * level
        match k % 7:
            case 0:
                x[:] = 0
            case 1:
                x = np.cumsum(x) * 0.05
                x -= x.mean()
            case 2:
                x = x * 0.05 + sum(np.sin(2 * np.pi * f * t) for f in rng.uniform(50, 2000, 3)) * level
            case 3:
                x *= 0.02
                for at in rng.integers(0, size, 4):
                    x[at : at + 40] += level * 3
            case 4:
                x *= 0.02
                at, n_burst = int(rng.integers(0, size // 2)), int(16000 * rng.uniform(0.05, 0.3))
                burst = rng.normal(size=n_burst) * np.exp(-np.linspace(0, 5, n_burst)) * level * 4
                x[at : at + n_burst] += burst[: len(x[at : at + n_burst])]
            case _:
                pass
        out.append(np.clip(x, -1, 1).astype(np.float32))
    return out


def features(clips: list[tuple[str, str, np.ndarray]]) -> list[Item]:
    fe = FeatureExtractor(feature_size=80)
    spoken: list[tuple[np.ndarray, str | None]] = [(a.astype(np.float32) / 32768, t) for t, _, a in clips]
    spoken += [(a, None) for a in not_speech(900)]
    return [(fe(np.pad(a, (0, 1600)))[:, : (len(a) + 1600) // 160].astype(np.float16), t) for a, t in spoken]


def encode(model: WhisperForConditionalGeneration, x: torch.Tensor) -> torch.Tensor:
    """The encoder over a window of any length (the library's own insists on 30 s)."""
    e = model.model.encoder
    h = F.gelu(e.conv2(F.gelu(e.conv1(x)))).permute(0, 2, 1)
    h = h + e.embed_positions.weight[: h.shape[1]]
    for layer in e.layers:
        o = layer(h, None)
        h = o[0] if isinstance(o, tuple) else o
    return e.layer_norm(h)


def write_ctranslate2(model: WhisperForConditionalGeneration, tok: Tokenizer, out: Path) -> None:
    v = tok.get_vocab()
    eot = v["<|endoftext|>"]
    with tempfile.TemporaryDirectory() as folder:
        src = Path(folder)
        model.save_pretrained(src)
        tok.save(str(src / "tokenizer.json"))
        end = "<|endoftext|>"
        files = {
            "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": end, "bos_token": end, "eos_token": end, "pad_token": end},
            "generation_config.json": {
                "alignment_heads": [[1, 0], [1, 1], [1, 2], [1, 3]], "no_timestamps_token_id": v["<|notimestamps|>"], "suppress_tokens": [],
                "begin_suppress_tokens": [], "eos_token_id": eot, "decoder_start_token_id": v["<|startoftranscript|>"], "bos_token_id": eot,
                "pad_token_id": eot, "max_length": 448,
            },
            "preprocessor_config.json": {
                "feature_size": 80, "sampling_rate": 16000, "hop_length": 160, "n_fft": 400, "chunk_length": 30, "nb_max_frames": 3000,
                "n_samples": 480000, "feature_extractor_type": "WhisperFeatureExtractor", "padding_value": 0.0, "return_attention_mask": False,
                "processor_class": "WhisperProcessor", "padding_side": "right",
            },
        }  # fmt: skip
        for name, content in files.items():
            (src / name).write_text(json.dumps(content))
        converter = ctranslate2.converters.TransformersConverter(
            folder, copy_files=["tokenizer.json", "preprocessor_config.json"]
        )
        made = src / "converted"
        converter.convert(str(made), quantization="int8", force=True)
        out.mkdir(parents=True, exist_ok=True)
        for file in made.iterdir():
            shutil.copy(file, out / file.name)


def train(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    clips = pickle.loads(args.data.read_bytes())
    tok = (
        Tokenizer.from_file(str(args.init / "tokenizer.json"))
        if args.init
        else build_tokenizer([t for t, _, _ in clips])
    )
    ids = tok.token_to_id
    sot, no_times, eot, no_speech = (
        ids("<|startoftranscript|>"),
        ids("<|notimestamps|>"),
        ids("<|endoftext|>"),
        ids("<|nospeech|>"),
    )
    config = WhisperConfig(
        vocab_size=tok.get_vocab_size(), num_mel_bins=80, encoder_layers=4, encoder_attention_heads=4, decoder_layers=2,
        decoder_attention_heads=4, encoder_ffn_dim=768, decoder_ffn_dim=768, d_model=WIDTH, max_source_positions=1500,
        max_target_positions=448, dropout=0.0, pad_token_id=eot, bos_token_id=eot, eos_token_id=eot, decoder_start_token_id=sot,
        suppress_tokens=[], begin_suppress_tokens=[eot], attn_implementation="sdpa",
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    if args.init:
        model.load_state_dict(whisper_state(args.init / "model.bin"))
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {len(clips)} clips", flush=True)
    items = features(clips)
    labels = [None if t is None else tok.encode(" " + t).ids for _, t in items]
    spelled = [[CHARACTERS[c] for c in t or "" if c in CHARACTERS] for _, t in items]
    ctc = torch.nn.Linear(WIDTH, len(CHARACTERS) + 1)
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    matrices = [p for n, p in named if p.ndim == 2 and "embed" not in n and "proj_out" not in n]
    others = [p for n, p in named if p.ndim != 2 or "embed" in n or "proj_out" in n] + list(ctc.parameters())
    optimizers = [
        (torch.optim.Muon(matrices, lr=0.01, momentum=0.95, weight_decay=0.01), 0.006 if args.init else 0.015),
        (torch.optim.AdamW(others, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0), 5e-4 if args.init else 1.5e-3),
    ]
    order = sorted(range(len(items)), key=lambda i: items[i][0].shape[1])
    batches = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
    rng = random.Random(0)
    start, step, seen, done = time.time(), 0, [], 0.0
    while done < 1:
        done = (time.time() - start) / (60 * args.minutes)
        longest = 1.0 if args.init else min(1.0, 0.12 + 2.8 * done)
        chosen = batches[: max(1, int(longest * len(batches)))]
        rng.shuffle(chosen)
        for batch in chosen:
            done = (time.time() - start) / (60 * args.minutes)
            if done >= 1:
                break
            masked = bool(args.init) or done > 0.3
            extra = rng.choice([0, 0, 10, 40, 80, 160]) if masked else 0
            width = max(items[i][0].shape[1] for i in batch) + extra
            width += width % 2
            x = np.empty((len(batch), 80, width), np.float32)
            for j, i in enumerate(batch):
                m = items[i][0].astype(np.float32)
                floor = float(m.min())
                x[j] = floor
                x[j, :, : m.shape[1]] = m
                if masked:
                    for _ in range(2):
                        size = rng.randint(0, 10)
                        at = rng.randint(0, 80 - size)
                        x[j, at : at + size] = floor
                    size = rng.randint(0, 12)
                    at = rng.randint(0, max(0, m.shape[1] - size))
                    x[j, :, at : at + size] = floor
            length = max(len(labels[i] or []) + 2 for i in batch)
            given = torch.full((len(batch), length), eot)
            wanted = torch.full((len(batch), length), -100)
            for j, i in enumerate(batch):
                label = labels[i]
                seq = [sot, no_times, *(label or [])]
                given[j, : len(seq)] = torch.tensor(seq)
                if label is None:
                    # what says "no speech" is the token after the start, as in Whisper; then nothing
                    wanted[j, :2] = torch.tensor([no_speech, eot])
                else:
                    out = [no_times, *label, eot]
                    wanted[j, : len(out)] = torch.tensor(out)
            characters = [c for i in batch for c in spelled[i]]
            with torch.autocast("cpu", torch.bfloat16):
                h = encode(model, torch.from_numpy(x))
                y = model.model.decoder(input_ids=given, encoder_hidden_states=h).last_hidden_state
                logits = model.proj_out(y)
                letters = ctc(h)
            loss = F.cross_entropy(
                logits.float().flatten(0, 1), wanted.flatten(), ignore_index=-100, label_smoothing=0.05
            )
            weight = 0.3 if args.init else max(0.2, 1.5 * (1 - max(0.0, done - 0.35) / 0.5))
            spelling = F.ctc_loss(
                letters.float().log_softmax(-1).transpose(0, 1), torch.tensor(characters), torch.full((len(batch),), h.shape[1]),
                torch.tensor([len(spelled[i]) for i in batch]), blank=0, zero_infinity=True,
            )  # fmt: skip
            model.zero_grad()
            ctc.zero_grad()
            (loss + weight * spelling).backward()
            torch.nn.utils.clip_grad_norm_([p for _, p in named], 1.0)
            scale = args.rate * min(1, (step + 1) / 200) * min(1.0, max(0.02, 1.3 * (1 - done)))
            for optimizer, rate in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate * scale
                optimizer.step()
            step += 1
            seen.append((loss.item(), spelling.item()))
            if step % 50 == 0:
                a, b = np.mean(seen[-50:], 0)
                print(
                    f"step {step} {time.time() - start:5.0f} s  loss {a:.4f}  ctc {b:.4f}  scale {scale:.3f}",
                    flush=True,
                )
            if step % 500 == 0:
                write_ctranslate2(model, tok, args.out)
    write_ctranslate2(model, tok, args.out)
    print(f"{step} steps", flush=True)


def word_errors(said: str, heard: str) -> tuple[int, int]:
    """Levenshtein distance in words, and the number of words said."""
    a, b = said.split(), heard.split()
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1], len(a)


def evaluate(args: argparse.Namespace) -> None:
    """Word error rates with the server's own engine."""
    from media_server.engines.whisper import WhisperEngine

    engine = WhisperEngine.load(args.model)
    by_voice: dict[str, list[tuple[str, np.ndarray]]] = defaultdict(list)
    for text, voice, samples in pickle.loads(args.data.read_bytes()):
        by_voice[voice].append((text, samples))
    for voice, clips in by_voice.items():
        errors = words = 0
        wrong = []
        start = time.process_time()
        for text, samples in clips:
            heard = engine.transcribe([samples])[0].text
            e, n = word_errors(text, heard)
            errors, words = errors + e, words + n
            if e:
                wrong.append(f"{text} -> {heard}")
        each = (time.process_time() - start) / len(clips) * 1000
        print(f"{voice}: {errors / words:.1%} of {words} words wrong, {each:.0f} ms CPU a sentence")
        for line in wrong[: args.show]:
            print("   ", line)
    for name, sound in [
        ("silence", np.zeros(32000, np.int16)),
        ("noise", (np.random.default_rng(1).normal(size=32000) * 600).astype(np.int16)),
    ]:
        print(f"{name}: {engine.transcribe([sound])[0].text!r}")


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(required=True)
    p = sub.add_parser("train")
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--minutes", type=float, default=120)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--init", type=Path, help="go on from a CTranslate2 folder")
    p.add_argument("--rate", type=float, default=1.0, help="factor on the learning rates; below 1 to polish")
    p.add_argument("--out", type=Path, default=Path("../starter/stt"))
    p.set_defaults(run=train)
    p = sub.add_parser("evaluate")
    p.add_argument("--model", type=Path, default=Path("../starter/stt"))
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--show", type=int, default=8)
    p.set_defaults(run=evaluate)
    args = ap.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()

"""Train the starter recogniser, a small English-only Whisper, and write it for faster-whisper (CTranslate2, int8).

    python synth.py --out /tmp/clips.pkl
    python train_stt.py --data /tmp/clips.pkl --out ../starter/stt

`--init FOLDER` goes on from a CTranslate2 folder of the same shape, with its tokenizer.
From nothing, a character CTC loss on the encoder and short clips first are what gets it off the plateau.
Where the words' times are known, heads of the last decoder layer are taught to look at the word they write
(guided attention, Tachibana et al. 2018, https://arxiv.org/abs/1710.08969), which makes word times exact.
"""

from __future__ import annotations

import argparse
import json
import pickle
import random
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
import torch
import torch.nn.functional as F
from clip import Clip
from ctranslate2_weights import whisper_state
from faster_whisper.feature_extractor import FeatureExtractor
from loop import Kept, Optimizers, Progress, add_options
from not_speech import not_speech
from skills import UNCLEAR
from starter_pack import STT
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import WhisperConfig, WhisperForConditionalGeneration

WIDTH, BPE, BATCH = 192, 900, 32
HEAD_FIRST = 300
"""Steps in which only the spelling head learns to spell, when going on from weights."""
HINTED = 0.12
"""Share of the samples with words before the start, as Whisper takes hotwords."""
ALIGNMENT_HEADS = [0, 1]
"""Of the last decoder layer."""
SPECIAL = [
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>",
    "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>", *[f"<|{i * 0.02:.2f}|>" for i in range(1501)],
]  # fmt: skip
CHARACTERS = {c: i + 1 for i, c in enumerate(" abcdefghijklmnopqrstuvwxyz'[]")}
FRAMES_PER_S = 50
"""Of the encoder's output."""
WHOLE_WINDOW = 3000
"""Feature frames of 30 s."""


@dataclass
class Item:
    """Log-mel features [80, frames] and what is to be written; `text` is None where nobody speaks."""

    mel: np.ndarray
    text: str | None
    tokens: list[int]
    windows: list[tuple[int, int]]
    """Encoder frames in which each token is spoken, where known."""
    span: tuple[float, float]


def build_tokenizer(texts: list[str]) -> Tokenizer:
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=BPE, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tok.train_from_iterator([" " + t.replace(UNCLEAR, "") for t in texts], trainer)
    tok.add_tokens([AddedToken(UNCLEAR, normalized=False)])
    tok.add_special_tokens(SPECIAL)
    return tok


def token_windows(tok: Tokenizer, tokens: list[int], clip: Clip) -> list[tuple[int, int]]:
    """Encoder frames of each token: its letters' share of its word's time."""
    words = clip.text.split()
    if len(words) != len(clip.words) or not words:
        return []
    out: list[tuple[int, int]] = []
    word, used = -1, 0
    for token in tokens:
        piece = tok.decode([token])
        if piece.startswith(" ") or word < 0:
            word, used = word + 1, 0
        if word >= len(words):
            return []
        letters = len(piece.strip())
        start, end = clip.words[word]
        share = (end - start) / max(1, len(words[word]))
        first = (start + used * share) * FRAMES_PER_S
        out.append((int(first), int(first + letters * share * FRAMES_PER_S) + 1))
        used += letters
    return out if word == len(words) - 1 else []


def make_items(clips: list[Clip], tok: Tokenizer) -> list[Item]:
    extractor = FeatureExtractor(feature_size=80)

    def mel(samples: np.ndarray) -> np.ndarray:
        return extractor(np.pad(samples, (0, 1600)))[:, : (len(samples) + 1600) // 160].astype(np.float16)

    items = []
    for clip in clips:
        tokens = tok.encode(" " + clip.text).ids
        windows = token_windows(tok, tokens, clip)
        items.append(Item(mel(clip.samples.astype(np.float32) / 32768), clip.text, tokens, windows, clip.span))
    items += [Item(mel(x), None, [], [], (0, 0)) for x in not_speech(1600)]
    return items


def make_model(tok: Tokenizer) -> WhisperForConditionalGeneration:
    sot, eot = tok.token_to_id("<|startoftranscript|>"), tok.token_to_id("<|endoftext|>")
    config = WhisperConfig(
        vocab_size=tok.get_vocab_size(), num_mel_bins=80, encoder_layers=4, encoder_attention_heads=4, decoder_layers=2,
        decoder_attention_heads=4, encoder_ffn_dim=768, decoder_ffn_dim=768, d_model=WIDTH, max_source_positions=1500,
        max_target_positions=448, dropout=0.0, pad_token_id=eot, bos_token_id=eot, eos_token_id=eot, decoder_start_token_id=sot,
        suppress_tokens=[], begin_suppress_tokens=[eot], attn_implementation="eager",
    )  # fmt: skip
    return WhisperForConditionalGeneration(config)


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
    last = model.config.decoder_layers - 1
    with tempfile.TemporaryDirectory() as folder:
        src = Path(folder)
        model.save_pretrained(src)
        tok.save(str(src / "tokenizer.json"))
        end = "<|endoftext|>"
        files = {
            "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": end, "bos_token": end, "eos_token": end, "pad_token": end},
            "generation_config.json": {
                "alignment_heads": [[last, h] for h in ALIGNMENT_HEADS], "no_timestamps_token_id": v["<|notimestamps|>"], "suppress_tokens": [],
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


@dataclass
class Batch:
    mel: torch.Tensor
    given: torch.Tensor
    wanted: torch.Tensor
    look: torch.Tensor
    """[items, positions, encoder frames]: where the alignment heads may look; empty rows where it is not known."""
    letters: list[int]
    letter_counts: list[int]


def hotwords(item: Item, others: list[Item], r: random.Random) -> str:
    """What an agent may expect to hear: words of other sentences and, every second time, some of this one."""
    words = " ".join(other.text or "" for other in others if other is not item).split()
    chosen = r.sample(words, min(len(words), r.randint(1, 6)))
    if r.random() < 0.5 and item.text:
        own = item.text.split()
        chosen += r.sample(own, min(len(own), r.randint(1, 2)))
    r.shuffle(chosen)
    return " ".join(w for w in chosen if w != UNCLEAR)


def collate(chosen: list[Item], tok: Tokenizer, r: random.Random, masked: bool, whole: bool) -> Batch:
    """Pad, mask (SpecAugment, Park et al. 2019), and choose the form of the transcript."""
    ids = tok.token_to_id
    sot, no_times, eot, no_speech = (
        ids("<|startoftranscript|>"),
        ids("<|notimestamps|>"),
        ids("<|endoftext|>"),
        ids("<|nospeech|>"),
    )
    zero = ids("<|0.00|>")
    width = (
        WHOLE_WINDOW
        if whole
        else max(i.mel.shape[1] for i in chosen) + r.choice([0, 0, 10, 40, 80, 160] if masked else [0])
    )
    width += width % 2
    mel = np.empty((len(chosen), 80, width), np.float32)
    hints = [hotwords(item, chosen, r) if item.text is not None and r.random() < HINTED else "" for item in chosen]
    context = [[ids("<|startofprev|>"), *tok.encode(" " + hint).ids] if hint else [] for hint in hints]
    length = max(len(i.tokens) + 3 + len(c) for i, c in zip(chosen, context, strict=True))
    given = torch.full((len(chosen), length), eot)
    wanted = torch.full((len(chosen), length), -100)
    look = torch.zeros(len(chosen), length, width // 2)
    for j, item in enumerate(chosen):
        m = item.mel.astype(np.float32)
        floor = float(m.min())
        mel[j] = floor
        mel[j, :, : m.shape[1]] = m
        if masked:
            for _ in range(2):
                size = r.randint(0, 10)
                at = r.randint(0, 80 - size)
                mel[j, at : at + size] = floor
            size = r.randint(0, 12)
            at = r.randint(0, max(0, m.shape[1] - size))
            mel[j, :, at : at + size] = floor
        if item.text is None:
            # what says "no speech" is the token after the start, as in Whisper; then nothing
            before, after = [sot, no_times], [no_speech, eot]
        elif r.random() < 0.12:
            start, end = (zero + min(1500, round(t / 0.02)) for t in item.span)
            before, after = [sot, start, *item.tokens, end], [start, *item.tokens, end, eot]
        else:
            before, after = [sot, no_times, *item.tokens], [no_times, *item.tokens, eot]
            for k, (a, b) in enumerate(item.windows):
                look[j, len(context[j]) + k + 1, max(0, a) : max(1, b)] = 1
        first = len(context[j])
        given[j, : first + len(before)] = torch.tensor(context[j] + before)
        wanted[j, first : first + len(after)] = torch.tensor(after)
    spelled = [[CHARACTERS[c] for c in item.text or "" if c in CHARACTERS] for item in chosen]
    return Batch(torch.from_numpy(mel), given, wanted, look, [c for s in spelled for c in s], [len(s) for s in spelled])


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", type=Path, required=True, nargs="+", help="what synth.py made")
    add_options(ap, 20000, "a CTranslate2 folder of this shape, with its tokenizer", STT)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    clips: list[Clip] = [clip for path in args.data for clip in pickle.loads(path.read_bytes())]
    if args.init:
        tok = Tokenizer.from_file(str(args.init / "tokenizer.json"))
    else:
        tok = build_tokenizer([c.text for c in clips])
    model = make_model(tok)
    if args.init:
        model.load_state_dict(whisper_state(args.init / "model.bin"))
    model.to(args.device)
    size = sum(p.numel() for p in model.parameters()) / 1e6
    print(f"{size:.2f} M parameters, {len(clips)} clips", flush=True)
    items = make_items(clips, tok)
    del clips
    print(f"features made; word times in {sum(bool(i.windows) for i in items)} clips", flush=True)
    ctc = torch.nn.Linear(WIDTH, len(CHARACTERS) + 1).to(args.device)
    # the spelling head is no matrix inside the network: AdamW, as for embeddings
    optimizers = Optimizers(
        [*model.named_parameters(), *ctc.named_parameters("embed")],
        muon=0.006 if args.init else 0.015, adam=5e-4 if args.init else 1.5e-3, beta2=0.98,
    )  # fmt: skip
    kept = Kept(args.keep, torch.nn.ModuleList([model, ctc]), optimizers)
    progress = Progress(args.steps, ("loss", "ctc", "attention", "scale"), kept.step)
    order = sorted(range(len(items)), key=lambda i: items[i].mel.shape[1])
    groups = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
    r = random.Random(args.seed + 1000 * kept.step)
    queue: list[list[int]] = []
    for step in range(kept.step + 1, args.steps + 1):
        done = step / args.steps
        if not queue:
            longest = 1.0 if args.init else min(1.0, 0.12 + 2.8 * done)
            queue = groups[: max(1, int(longest * len(groups)))]
            r.shuffle(queue)
        chosen = [items[i] for i in queue.pop()]
        masked = bool(args.init) or done > 0.3
        whole = done > 0.5 and r.random() < 0.03
        batch = collate(chosen[:6] if whole else chosen, tok, r, masked, whole)
        x, given, wanted, look = (a.to(args.device) for a in (batch.mel, batch.given, batch.wanted, batch.look))
        with torch.autocast(args.device, torch.bfloat16):
            h = encode(model, x)
            y = model.model.decoder(input_ids=given, encoder_hidden_states=h, output_attentions=True)
            logits = model.proj_out(y.last_hidden_state)
            # a new spelling head would pull a trained encoder apart before it knows its letters
            letters = ctc(h.detach() if args.init and step <= HEAD_FIRST else h)
        loss = F.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), ignore_index=-100, label_smoothing=0.05)
        spelling = F.ctc_loss(
            letters.float().log_softmax(-1).transpose(0, 1), torch.tensor(batch.letters), torch.full((len(batch.letter_counts),), h.shape[1]),
            torch.tensor(batch.letter_counts), blank=0, zero_infinity=True,
        )  # fmt: skip
        known = look.sum(-1) > 0
        looked = torch.zeros(())
        if known.any():
            attention = y.cross_attentions[-1][:, ALIGNMENT_HEADS].float()
            # evenly over the whole word: where it ends is told by its last sound, not by its loudest
            evenly = (look / look.sum(-1, keepdim=True).clamp(min=1)).unsqueeze(1)
            looked = (evenly * (evenly.clamp(min=1e-4).log() - (attention + 1e-4).log())).sum(-1).mean(1)[known].mean()
        weight = 0.3 if args.init else max(0.2, 1.5 * (1 - max(0.0, done - 0.35) / 0.5))
        scale = args.rate * min(1, step / 200) * min(1.0, max(0.01, 1.3 * (1 - done)))
        optimizers.step(loss + weight * spelling + 0.1 * looked.to(loss.device), scale)
        progress.note(loss.item(), spelling.item(), looked.item(), scale)
        kept.keep(step)
        if step % 500 == 0:
            write_ctranslate2(model, tok, args.out)
    write_ctranslate2(model, tok, args.out)
    kept.done()


if __name__ == "__main__":
    main()

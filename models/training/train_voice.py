"""Train the starter voice and write it as a Piper ONNX file with its JSON.

    python train_voice.py prepare --out /tmp/voice.pkl      # flite speaks, and is analysed
    python train_voice.py train --data /tmp/voice.pkl --out ../starter/voice

The source voice is flite's `slt`. Flite prints its phones with their times; they are aligned with the phonemes
that Piper's own phonemizer makes of the same text, so durations need no learning of alignments.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import pydoc_data.topics
import random
import re
import subprocess
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from analysis import analyse
from dialogues import replies, sentences
from loop import Kept, Progress, add_options
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP
from speech_programs import FLITE_PITCH_HZ, read_wav
from starter_pack import VOICE
from vocoder import BANDS, CEPSTRUM, HOP, RATE, Vocoder

SYMBOLS = 256
PHONEMES = 128
FRAMES = 192
PITCH = f"int_f0_target_mean={FLITE_PITCH_HZ['slt']}"
"""A little above the voice's own, at which some of its consonants are too weak to be understood."""
LOUD = 0.8
"""From which on sound is pressed together: with its noise it would go beyond 1 now and then."""
IPA = {
    "aa": "ɑɔɒaː", "ae": "æa", "ah": "ʌəɐ", "ao": "ɔoɑː", "aw": "aʊ", "ax": "əɐɪᵻʌi", "ay": "aɪ", "b": "b", "ch": "tʃ",
    "d": "dɾ", "dh": "ð", "eh": "ɛe", "er": "ɚɜɝɹəː", "ey": "eɪ", "f": "f", "g": "ɡg", "hh": "h", "ih": "ɪiᵻə",
    "iy": "iɪː", "jh": "dʒ", "k": "k", "l": "l", "m": "m", "n": "n", "ng": "ŋn", "ow": "oʊ", "oy": "ɔɪ", "p": "p",
    "r": "ɹɚr", "s": "s", "sh": "ʃ", "t": "tɾʔ", "th": "θ", "uh": "ʊ", "uw": "uʊː", "v": "v", "w": "wʍ", "y": "j",
    "z": "z", "zh": "ʒ", "pau": ",.?!;:-—",
}  # fmt: skip
VOWELS = set("aeiouyæøœɐɑɒɔəɚɛɜɝɪʊʌᵻː")
VOWEL_PHONES = {"aa", "ae", "ah", "ao", "aw", "ax", "ay", "eh", "er", "ey", "ih", "iy", "ow", "oy", "uh", "uw"}
SILENT = set(" ˈˌ'\"()")


def texts() -> list[str]:
    """The agent's replies, callers' sentences, and plain English prose for the sounds that neither has."""
    r = random.Random(0)
    out = []
    for reply in replies(1100, 50_000):
        out += [s.strip() for s in re.findall(r"[^.?!]+[.?!]", reply)]
        clause = reply.split(",")[0]
        if clause != reply and r.random() < 0.3:
            out.append(clause + ",")
    out += [s[0].upper() + s[1:] + r.choice(".?!") for s in sentences(300, 77)]
    prose = " ".join(pydoc_data.topics.topics.values())
    prose = re.sub(r"\s+", " ", re.sub(r"[*`\"]", "", prose))
    ordinary = {s for s in re.findall(r"[A-Z][a-z ,']{25,90}[.]", prose) if len(s.split()) > 4}
    out += r.sample(sorted(ordinary), 500)
    return sorted(set(out))


def cost(phone: str, symbol: str) -> float:
    if symbol in IPA[phone]:
        return 0.0
    if phone == "pau" or symbol in IPA["pau"]:
        return 3.0
    return 1.0 if (phone in VOWEL_PHONES) == (symbol in VOWELS) else 2.0


def align(phones: list[tuple[str, float]], symbols: list[str]) -> tuple[list[float], float] | None:
    """Seconds for each symbol, and the mean cost: monotonic alignment, one to many in both directions."""
    n, m = len(phones), len(symbols)
    best = np.full((n, m), np.inf)
    step = np.zeros((n, m), np.int8)
    for i in range(n):
        for j in range(m):
            here = cost(phones[i][0], symbols[j])
            if i == j == 0:
                best[i, j] = here
                continue
            options = [
                best[i - 1, j - 1] + here if i and j else np.inf,
                best[i, j - 1] + here + 0.3 if j else np.inf,
                best[i - 1, j] + here + 0.7 if i else np.inf,
            ]
            step[i, j] = int(np.argmin(options))
            best[i, j] = min(options)
    if not np.isfinite(best[-1, -1]):
        return None
    seconds, i, j = [0.0] * m, n - 1, m - 1
    path = [(i, j)]
    while i or j:
        s = step[i, j]
        i, j = i - (s != 1), j - (s != 2)
        path.append((i, j))
    per_phone = [sum(1 for p in path if p[0] == k) for k in range(n)]
    for i, j in path:
        seconds[j] += phones[i][1] / per_phone[i]
    return seconds, float(best[-1, -1]) / max(n, m)


def prepare_one(text: str) -> dict | None:
    from piper.phonemize_espeak import EspeakPhonemizer

    phonemized = EspeakPhonemizer().phonemize("en-us", text)
    if len(phonemized) != 1:
        return None
    symbols = ["^", *[p for p in phonemized[0] if p in DEFAULT_PHONEME_ID_MAP], "$"]
    with tempfile.NamedTemporaryFile(suffix=".wav") as f:
        printed = subprocess.run(
            ["flite", "-voice", "slt", "--setf", PITCH, "-psdur", "-t", text, "-o", f.name],
            check=True,
            capture_output=True,
            text=True,
        )
        x = read_wav(f.name).astype(np.float64)
    ends = [(p, float(t)) for p, t in (w.split(":") for w in printed.stdout.split())]
    phones = [(p, t - s) for (p, t), (_, s) in zip(ends, [("", 0.0), *ends], strict=False)]
    # keep 40 ms of the silence before and 130 ms of that after
    lead, tail = max(0.0, phones[0][1] - 0.04), max(0.0, phones[-1][1] - 0.13)
    phones[0], phones[-1] = ("pau", phones[0][1] - lead), ("pau", phones[-1][1] - tail)
    x = x[int(lead * RATE) : int(ends[-1][1] * RATE) - int(tail * RATE)]
    voiced_symbols = [
        k for k, s in enumerate(symbols) if s not in SILENT and s not in "ˈˌː" and k not in (0, len(symbols) - 1)
    ]
    last = symbols[voiced_symbols[-1]]
    inner = voiced_symbols if last in IPA["pau"] else [*voiced_symbols, len(symbols) - 1]
    aligned = align(phones[1:], ["." if k == len(symbols) - 1 else symbols[k] for k in inner])
    if aligned is None or aligned[1] > 0.35:
        return None
    seconds = np.zeros(len(symbols))
    seconds[0] = phones[0][1]
    for k, s in zip(inner, aligned[0], strict=True):
        seconds[k] = s
    edges = np.round(np.concatenate([[0], np.cumsum(seconds)]) * RATE / HOP).astype(int)
    durations = np.diff(edges)
    frames = int(edges[-1])
    found = analyse(x)
    if found is None:
        return None

    def fit(a: np.ndarray) -> np.ndarray:
        a = a[:frames]
        return np.concatenate([a, np.repeat(a[-1:], frames - len(a), 0)]).astype(np.float32)

    return {
        "text": text, "ids": [DEFAULT_PHONEME_ID_MAP[s][0] for s in symbols], "durations": durations,
        "cepstrum": fit(found.cepstrum), "bands": fit(found.bands), "f0": fit(found.f0), "voiced": fit(found.voiced),
    }  # fmt: skip


def prepare(args: argparse.Namespace) -> None:
    wanted = texts()
    wanted = wanted[:: max(1, round(1 / args.size))]
    items = []
    with ProcessPoolExecutor(args.processes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for count, item in enumerate(pool.map(prepare_one, wanted, chunksize=16), 1):
            if item:
                items.append(item)
            if count % 200 == 0:
                print(f"{count} of {len(wanted)} sentences", flush=True)
    args.out.write_bytes(pickle.dumps(items))
    seconds = sum(len(i["f0"]) for i in items) * HOP / RATE
    print(f"{len(items)} of {len(wanted)} sentences aligned, {seconds / 60:.0f} minutes")


class Residual(torch.nn.Module):
    def __init__(self, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(width)
        self.conv = torch.nn.Conv1d(width, width, kernel, padding=dilation * (kernel // 2), dilation=dilation)

    def forward(self, x, mask):
        h = self.norm(x.transpose(1, 2)).transpose(1, 2) * mask
        return (x + F.gelu(self.conv(h))) * mask


class Voice(torch.nn.Module):
    """Phoneme ids -> durations -> frames of vocoder parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(SYMBOLS, PHONEMES)
        self.encoder = torch.nn.ModuleList(Residual(PHONEMES, 5, d) for d in (1, 2, 4, 1))
        self.timing = torch.nn.ModuleList(Residual(PHONEMES, 3, d) for d in (1, 2))
        self.duration = torch.nn.Conv1d(PHONEMES, 1, 1)
        self.widen = torch.nn.Conv1d(PHONEMES + 3, FRAMES, 1)
        self.decoder = torch.nn.ModuleList(Residual(FRAMES, 5, d) for d in (1, 2, 4, 8, 1))
        self.out = torch.nn.Conv1d(FRAMES, CEPSTRUM + BANDS + 2, 1)
        self.register_buffer("mean", torch.zeros(CEPSTRUM))
        self.register_buffer("spread", torch.ones(CEPSTRUM))
        self.register_buffer("f0_mean", torch.tensor(5.1))

    def encode(self, ids, mask):
        h = self.embed(ids).transpose(1, 2) * mask
        for layer in self.encoder:
            h = layer(h, mask)
        t = h
        for layer in self.timing:
            t = layer(t, mask)
        return h, self.duration(t)[:, 0]

    def decode(self, h, index, within, mask):
        """h [B, C, N]; index [B, T] phoneme of each frame; within [B, 3, T] place in it and its length."""
        x = torch.gather(h, 2, index.unsqueeze(1).expand(-1, h.shape[1], -1))
        x = self.widen(torch.cat([x, within], 1)) * mask
        for layer in self.decoder:
            x = layer(x, mask)
        y = self.out(x)
        cepstrum = y[:, :CEPSTRUM].transpose(1, 2) * self.spread + self.mean
        bands = torch.sigmoid(y[:, CEPSTRUM : CEPSTRUM + BANDS]).transpose(1, 2)
        return cepstrum, bands, y[:, -2] * 0.2 + self.f0_mean, y[:, -1]


def place(durations: torch.Tensor, frames: torch.Tensor):
    """Frame index -> (phoneme index, [place from start, from end, length] scaled)."""
    ends = torch.cumsum(durations, 1)
    index = (ends.unsqueeze(1) <= frames.view(1, -1, 1)).sum(2).clamp(max=durations.shape[1] - 1)
    length = torch.gather(durations, 1, index).float()
    after = (torch.gather(ends, 1, index) - frames.view(1, -1)).float()
    before = length - after
    return index, torch.stack([before / (length + 1e-3), torch.log1p(before), torch.log1p(after.clamp(min=0))], 1)


class PiperVoice(torch.nn.Module):
    """Piper's contract: ids [1, 2n+1] with pads between, lengths [1], scales [noise, length, noise_w]."""

    def __init__(self, voice: Voice) -> None:
        super().__init__()
        self.voice, self.vocoder = voice, Vocoder()

    def forward(self, input, input_lengths, scales):  # noqa: A002 - the contract's name
        ids = input[:, 0::2] + input_lengths.view(1, 1) * 0
        mask = torch.ones_like(ids).unsqueeze(1).float()
        h, log_duration = self.voice.encode(ids, mask)
        durations = torch.round((torch.exp(log_duration) - 1).clamp(min=0) * scales[1] + scales[2] * 0).long()
        durations = torch.cat([durations[:, :-1], durations[:, -1:].clamp(min=2)], 1)
        frames = torch.arange(durations.sum())
        index, within = place(durations, frames)
        cepstrum, bands, log_f0, voicing = self.voice.decode(h, index, within, torch.ones_like(within[:, :1]))
        samples = self.vocoder(
            cepstrum[0], bands[0], torch.exp(log_f0[0]), torch.sigmoid(3 * voicing[0]), scales[0] / 0.667
        )
        per_id = torch.stack([durations, torch.zeros_like(durations)], 2).flatten(1)[:, :-1]
        return limited(samples).view(1, 1, -1), per_id.float()


def limited(samples: torch.Tensor) -> torch.Tensor:
    """Never beyond 1: what is louder than LOUD is pressed together, the rest stays as it is."""
    over = torch.relu(samples.abs() - LOUD) / (1 - LOUD)
    return samples.clamp(-LOUD, LOUD) + samples.sign() * torch.tanh(over) * (1 - LOUD)


def export(voice: Voice, out: Path) -> None:
    voice.eval()
    ids = torch.zeros(1, 21, dtype=torch.long)
    ids[0, 0::2] = torch.randint(14, 40, (11,))
    path = out / "starter-voice.onnx"
    torch.onnx.export(
        PiperVoice(voice), (ids, torch.tensor([21]), torch.tensor([0.667, 1.0, 0.8])), str(path),
        input_names=["input", "input_lengths", "scales"], output_names=["output", "durations"],
        dynamic_axes={"input": {1: "ids"}, "output": {2: "samples"}, "durations": {1: "ids"}}, opset_version=17, dynamo=False,
    )  # fmt: skip
    config = {
        "audio": {"sample_rate": RATE, "quality": "low"}, "espeak": {"voice": "en-us"}, "phoneme_type": "espeak",
        "inference": {"noise_scale": 0.667, "length_scale": 1.0, "noise_w": 0.8}, "num_symbols": SYMBOLS, "num_speakers": 1,
        "speaker_id_map": {}, "phoneme_id_map": DEFAULT_PHONEME_ID_MAP, "hop_length": HOP, "language": {"code": "en_US"},
    }  # fmt: skip
    Path(f"{path}.json").write_text(json.dumps(config, ensure_ascii=False, indent=1) + "\n")


def train(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    args.out.mkdir(parents=True, exist_ok=True)
    items = pickle.loads(args.data.read_bytes())
    voice = Voice()
    if args.init:
        voice.load_state_dict(torch.load(args.init))
    else:
        every = np.concatenate([i["cepstrum"] for i in items])
        voice.mean.copy_(torch.tensor(every.mean(0)))
        voice.spread.copy_(torch.tensor(every.std(0)))
        f0 = np.concatenate([i["f0"][i["voiced"] > 0] for i in items])
        voice.f0_mean.fill_(float(np.log(f0).mean()))
    voice.to(args.device)
    hz = 700 * (np.exp(np.linspace(0, np.log(1 + 8000 / 700), 80)) - 1)
    order = np.arange(CEPSTRUM)
    to_log_spectrum = torch.tensor(
        np.cos(np.outer(order, hz / RATE * 2 * np.pi)) * np.where(order == 0, 1, 2)[:, None], dtype=torch.float32
    ).to(args.device)
    optimizer = torch.optim.AdamW(voice.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)
    kept = Kept(args.keep, voice, [optimizer])
    progress = Progress(args.steps, ("spectrum", "rough", "pitch", "voicing", "timing"), kept.step)
    ordered = sorted(range(len(items)), key=lambda i: len(items[i]["f0"]))
    groups = [ordered[i : i + 16] for i in range(0, len(ordered), 16)]
    r = random.Random(args.seed + 1000 * kept.step)
    queue: list[list[int]] = []
    for step in range(kept.step + 1, args.steps + 1):
        if not queue:
            queue = list(groups)
            r.shuffle(queue)
        b = [items[i] for i in queue.pop()]
        n, t = max(len(i["ids"]) for i in b), max(len(i["f0"]) for i in b)

        def pad(key: str, size: int, dtype=torch.float32, b=b):
            rows = [torch.as_tensor(np.asarray(i[key]), dtype=dtype) for i in b]
            return torch.stack([F.pad(r, [0, 0] * (r.ndim - 1) + [0, size - len(r)]) for r in rows]).to(args.device)

        def mask(key: str, size: int, b=b):
            lengths = torch.tensor([len(i[key]) for i in b])
            return (torch.arange(size) < lengths[:, None]).float().unsqueeze(1).to(args.device)

        ids, durations = pad("ids", n, torch.long), pad("durations", n, torch.long)
        symbol_mask, frame_mask = mask("ids", n), mask("f0", t)
        cepstrum, bands, f0, voiced = pad("cepstrum", t), pad("bands", t), pad("f0", t), pad("voiced", t)
        with torch.autocast(args.device, torch.bfloat16):
            h, log_duration = voice.encode(ids, symbol_mask)
            index, within = place(durations, torch.arange(t, device=args.device))
            c, a, f, v = voice.decode(h, index, within, frame_mask)
        m = frame_mask[:, 0]
        total = m.sum()
        spectrum = (((c.float() - cepstrum) @ to_log_spectrum).abs().mean(2) * m).sum() / total
        rough = ((a.float() - bands).abs().mean(2) * m * voiced).sum() / total
        vm = m * voiced
        pitch = ((f.float() - torch.log(f0.clamp(min=50))).abs() * vm).sum() / vm.sum()
        voicing = (F.binary_cross_entropy_with_logits(v.float(), voiced, reduction="none") * m).sum() / total
        sm = symbol_mask[:, 0]
        timing = ((log_duration.float() - torch.log1p(durations.float())).abs() * sm).sum() / sm.sum()
        loss = spectrum + rough + 3 * pitch + 0.3 * voicing + timing
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(voice.parameters(), 1.0)
        for g in optimizer.param_groups:
            g["lr"] = 2e-3 * args.rate * min(1, step / 100) * max(0.02, 1 - step / args.steps)
        optimizer.step()
        progress.note(*(x.item() for x in (spectrum, rough, pitch, voicing, timing)))
        kept.keep(step)
    voice.to("cpu")
    torch.save(voice.state_dict(), args.data.with_suffix(".pt"))
    export(voice, args.out)
    kept.done()
    print(f"wrote {args.out}/starter-voice.onnx")


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(required=True)
    p = sub.add_parser("prepare")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--size", type=float, default=1.0, help="share of the sentences")
    p.add_argument("--processes", type=int, default=os.cpu_count())
    p.set_defaults(run=prepare)
    p = sub.add_parser("train")
    p.add_argument("--data", type=Path, required=True)
    add_options(p, 8000, "a state saved before, the .pt beside the data", VOICE.parent)
    p.set_defaults(run=train)
    args = ap.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()

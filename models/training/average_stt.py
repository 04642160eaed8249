"""Average recognisers of one shape that were trained on from the same weights.

    python average_stt.py /tmp/one /tmp/two --out ../starter/stt

Better than each of them on voices that none has heard (model soups, Wortsman et al. 2022, https://arxiv.org/abs/2203.05482).
Embeddings are matched by the tokens' texts; the last folder's vocabulary is kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from ctranslate2_weights import whisper_state
from tokenizers import Tokenizer
from train_stt import make_model, write_ctranslate2

EMBEDDINGS = "model.decoder.embed_tokens.weight"


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("folders", type=Path, nargs="+")
    ap.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "starter" / "stt")
    args = ap.parse_args()
    tokenizers = [Tokenizer.from_file(str(f / "tokenizer.json")) for f in args.folders]
    states = [whisper_state(f / "model.bin") for f in args.folders]
    tok, last = tokenizers[-1], states[-1]
    for other, state in zip(tokenizers[:-1], states[:-1], strict=True):
        known = other.get_vocab()
        rows = last[EMBEDDINGS].clone()
        for token, i in tok.get_vocab().items():
            if token in known:
                rows[i] = state[EMBEDDINGS][known[token]]
        state[EMBEDDINGS] = rows
    mean = {key: torch.stack([s[key] for s in states]).mean(0) for key in last if key != "proj_out.weight"}
    mean["proj_out.weight"] = mean[EMBEDDINGS]
    model = make_model(tok)
    model.load_state_dict(mean)
    write_ctranslate2(model, tok, args.out)


if __name__ == "__main__":
    main()

"""What the trainings share: options, Muon for matrices with AdamW for the rest, lines of progress, going on after a stop."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

EVERY = 50
"""Steps between two lines of progress."""
KEEP_EVERY = 250


def add_options(ap: argparse.ArgumentParser, steps: int, init: str, out: Path) -> None:
    ap.add_argument("--steps", type=int, default=steps)
    ap.add_argument("--threads", type=int, default=torch.get_num_threads())
    ap.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    ap.add_argument("--init", type=Path, help=f"go on from {init}")
    ap.add_argument("--seed", type=int, default=1, help="of the order of the samples; another one when going on")
    ap.add_argument("--rate", type=float, default=1.0, help="factor on the learning rates; below 1 when going on")
    ap.add_argument("--keep", type=Path, help="keep the state of the training there, and go on from it if there is one")
    ap.add_argument("--out", type=Path, default=out)


class Optimizers:
    """Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) for matrices, AdamW for embeddings and the rest."""

    def __init__(self, named: Iterable[tuple[str, torch.nn.Parameter]], muon: float, adam: float, beta2: float) -> None:
        trained = [(n, p) for n, p in named if p.requires_grad]
        self.parameters = [p for _, p in trained]
        matrices = [p for n, p in trained if p.ndim == 2 and "embed" not in n and "proj_out" not in n]
        chosen = {id(p) for p in matrices}
        others = [p for p in self.parameters if id(p) not in chosen]
        self.rates: list[tuple[torch.optim.Optimizer, float]] = [
            (torch.optim.Muon(matrices, lr=muon, momentum=0.95, weight_decay=0.01), muon),
            (torch.optim.AdamW(others, lr=adam, betas=(0.9, beta2), weight_decay=0.0), adam),
        ]

    def __iter__(self) -> Iterator[torch.optim.Optimizer]:
        return (optimizer for optimizer, _ in self.rates)

    def step(self, loss: torch.Tensor, scale: float) -> None:
        """One step down the gradient of `loss`, at `scale` times the learning rates."""
        for optimizer, rate in self.rates:
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                group["lr"] = rate * scale
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer, _ in self.rates:
            optimizer.step()


class Kept:
    """The state of a training on disk, so that one which is stopped goes on from there; removed by `done`.

    The samples' order after that is another one than without the stop.
    """

    def __init__(self, path: Path | None, model: torch.nn.Module, optimizers: Iterable[torch.optim.Optimizer]) -> None:
        self.step = 0
        """Steps that are done already."""
        self._path = path
        self._parts = [model, *optimizers]
        if path and path.is_file():
            saved = torch.load(path)
            self.step = saved["step"]
            for part, state in zip(self._parts, saved["parts"], strict=True):
                part.load_state_dict(state)
            print(f"going on after step {self.step}", flush=True)

    def keep(self, step: int) -> None:
        if self._path and step % KEEP_EVERY == 0:
            new = self._path.with_suffix(".new")
            torch.save({"step": step, "parts": [part.state_dict() for part in self._parts]}, new)
            new.replace(self._path)

    def done(self) -> None:
        if self._path:
            self._path.unlink(missing_ok=True)


class Progress:
    def __init__(self, steps: int, names: Sequence[str], done: int = 0) -> None:
        self.steps, self.names, self.before = steps, names, done
        self.started = time.monotonic()
        self.seen: list[tuple[float, ...]] = []

    def note(self, *values: float) -> None:
        """The figures of one step; every EVERY steps their means are printed."""
        self.seen.append(values)
        step = self.before + len(self.seen)
        if len(self.seen) % EVERY == 0:
            means = np.mean(self.seen[-EVERY:], axis=0)
            figures = "  ".join(f"{name} {mean:.4f}" for name, mean in zip(self.names, means, strict=True))
            print(f"step {step} of {self.steps}  {time.monotonic() - self.started:5.0f} s  {figures}", flush=True)

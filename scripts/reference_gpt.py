"""The reference that the lab is measured against: a GPT and a plain training loop as in nanoGPT, on a CPU.

    python scripts/reference_gpt.py --text input.txt

One file, PyTorch and NumPy only, untuned: fp32, PyTorch's attention, AdamW as it comes (a loop over the
parameters), batches stacked from a memory-mapped token file, cosine schedule, clipping. The defaults are the setting
nanoGPT's README gives for a CPU. Prints one line of JSON: the validation losses, and the seconds spent training and in
all.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class Shape:
    """The shape of the model."""

    n_layer: int = 4
    n_head: int = 4
    n_embd: int = 128
    block_size: int = 64
    vocab_size: int = 65
    dropout: float = 0.0


class Norm(nn.Module):
    """LayerNorm without a bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, None, 1e-5)


class Attention(nn.Module):
    """Causal self-attention by PyTorch's fused kernel."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.n_head, self.dropout = shape.n_head, shape.dropout
        self.c_attn = nn.Linear(shape.n_embd, 3 * shape.n_embd, bias=False)
        self.c_proj = nn.Linear(shape.n_embd, shape.n_embd, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        q, k, v = (
            part.view(B, T, self.n_head, C // self.n_head).transpose(1, 2) for part in self.c_attn(x).split(C, dim=2)
        )
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        y = self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))
        return F.dropout(y, self.dropout, self.training)


class MLP(nn.Module):
    """Feed-forward: four times the width, GELU, and back."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.dropout = shape.dropout
        self.c_fc = nn.Linear(shape.n_embd, 4 * shape.n_embd, bias=False)
        self.c_proj = nn.Linear(4 * shape.n_embd, shape.n_embd, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.c_proj(F.gelu(self.c_fc(x))), self.dropout, self.training)


class Block(nn.Module):
    """Pre-norm attention and MLP, each added to the stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.ln_1, self.attn = Norm(shape.n_embd), Attention(shape)
        self.ln_2, self.mlp = Norm(shape.n_embd), MLP(shape)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class ReferenceGPT(nn.Module):
    """GPT-2 with learned positions and a tied head."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.wte = nn.Embedding(shape.vocab_size, shape.n_embd)
        self.wpe = nn.Embedding(shape.block_size, shape.n_embd)
        self.h = nn.ModuleList(Block(shape) for _ in range(shape.n_layer))
        self.ln_f = Norm(shape.n_embd)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                residual = name.endswith("c_proj.weight")
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * shape.n_layer) if residual else 0.02)

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Logits `[batch, pos, vocab]`, and the mean loss in nats where there are targets."""
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1], device=tokens.device))
        x = F.dropout(x, self.shape.dropout, self.training)
        for block in self.h:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1), ignore_index=-1)

    @torch.no_grad()
    def generate(self, tokens: Tensor, n: int, greedy: bool = False) -> Tensor:
        """Append `n` tokens, reading the whole window again for each."""
        for _ in range(n):
            logits = self(tokens[:, -self.shape.block_size :])[0][:, -1]
            new = logits.argmax(-1, keepdim=True) if greedy else torch.multinomial(logits.softmax(-1), 1)
            tokens = torch.cat((tokens, new), dim=1)
        return tokens


def make_optimizer(model: nn.Module, lr: float = 1e-3, beta2: float = 0.99) -> torch.optim.AdamW:
    """AdamW with its defaults on a CPU; matrices decay by 0.1, gains do not."""
    weights = list(model.parameters())
    groups = [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": 0.1},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, beta2))


def get_batch(data: np.ndarray, batch_size: int, block_size: int) -> tuple[Tensor, Tensor]:
    """Windows from random places, one slice each, stacked."""
    starts = torch.randint(len(data) - block_size, (batch_size,))
    x = torch.stack([torch.from_numpy(data[i : i + block_size].astype(np.int64)) for i in starts])
    y = torch.stack([torch.from_numpy(data[i + 1 : i + 1 + block_size].astype(np.int64)) for i in starts])
    return x, y


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> float:
    """Forward, backward, clip, update; the loss before the update."""
    loss = model(x, y)[1]
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()


def lr_at(step: int, steps: int, peak: float = 1e-3, warmup: int = 100) -> float:
    """Linear warm-up, then a cosine down to a tenth."""
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    share = (step - warmup) / max(1, steps - warmup)
    return peak * (0.1 + 0.45 * (1 + math.cos(math.pi * share)))


@torch.no_grad()
def full_loss(model: nn.Module, data: np.ndarray, block_size: int, batch_size: int) -> float:
    """Nats per token over all of `data` in windows side by side: every token but the first, once."""
    model.eval()
    last = len(data) - 1
    windows = np.arange(0, last, block_size)[:, None] + np.arange(block_size + 1)
    nats = 0.0
    for rows in np.array_split(windows, max(1, len(windows) // batch_size)):
        ids = torch.from_numpy(data[np.minimum(rows, last)].astype(np.int64))
        targets = torch.where(torch.from_numpy(rows[:, 1:] <= last), ids[:, 1:], -1)
        nats += float(model(ids[:, :-1], targets)[1]) * int((targets >= 0).sum())
    model.train()
    return nats / last


def characters(text: str) -> np.ndarray:
    """The text as ids of its characters, uint16."""
    ids = {c: i for i, c in enumerate(sorted(set(text)))}
    return np.array([ids[c] for c in text], dtype=np.uint16)


def main() -> None:
    """Train on a text, as nanoGPT's README does on Shakespeare."""
    begin = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True, help="a file; its last tenth is held out")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--evaluations", type=int, default=20, help="how often the held-out part is measured")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--batch-size", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1337)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)

    ids = characters(args.text.read_text(encoding="utf-8"))
    shape = Shape(vocab_size=int(ids.max()) + 1)
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        ids.tofile(file.name)
        data = np.memmap(file.name, dtype=np.uint16, mode="r")
        train, val = data[: int(0.9 * len(data))], data[int(0.9 * len(data)) :]
        model = ReferenceGPT(shape)
        optimizer = make_optimizer(model, args.lr)
        every = max(1, args.steps // args.evaluations)
        losses, training = {}, 0.0
        for step in range(args.steps + 1):
            if step % every == 0 or step == args.steps:
                losses[step] = full_loss(model, val, shape.block_size, args.batch_size)
            if step == args.steps:
                break
            start = time.perf_counter()
            for group in optimizer.param_groups:
                group["lr"] = lr_at(step, args.steps, args.lr)
            train_step(model, optimizer, *get_batch(train, args.batch_size, shape.block_size))
            training += time.perf_counter() - start
    seconds = {"training_seconds": training, "seconds": time.perf_counter() - begin}
    print(json.dumps({"val_loss": losses[args.steps], **seconds, "losses": losses}))


if __name__ == "__main__":
    main()

"""Synthetic corpora: sequences drawn by a known rule, so that the best possible loss is known too.

A model that reaches the entropy of `markov` has learned all there is to learn; one that reaches 0 on the second half of
an `induction` sequence has built the circuit that copies what followed last time (Olsson et al. 2022,
arXiv:2209.11895), for nothing else helps there.

Sequence i of a split is a pure function of (seed, split, i, length): nothing is stored and nothing runs out. Train and
val are streams of their own. Randomness is a hash of (seed, split, i, position), computed for many sequences at once:
64 generators seeded one by one would cost more than a training step of a small model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd
from typing import ClassVar

import numpy as np

from lab.checks import is_number
from lab.data.synthetic_base import (
    POOL,
    Count,
    Sequences,
    Split,
    SyntheticCorpus,
    SyntheticTask,
    below,
    check_length,
    key_of,
    letters,
    pack,
    random_bits,
    refuse,
    uniform,
    whole_numbers,
)

_MOST_STATES = 1 << 16  # of a Markov chain


@dataclass(frozen=True)
class Markov(SyntheticCorpus):
    """The next symbol depends on the last `order` ones alone; the entropy rate of the chain is the loss floor.

    Args:
        seed: Chooses the transition probabilities, and the sequences.
        order: How many symbols back the rule looks.
        symbols: Size of the vocabulary; the chain has symbols^order states.
        concentration: Parameter of the Dirichlet distribution each state's probabilities are drawn from. Large: all
            symbols are as likely (entropy near ln symbols); small: one dominates. With 32 symbols
            0.3 gives 2.5 nats.

    A target counts where the model can see `order` symbols before it: with fewer even the true rule is unsure.
    """

    name: ClassVar[str] = "markov"
    order: int = 1
    symbols: int = 32
    concentration: float = 0.3

    def __post_init__(self) -> None:
        problems = whole_numbers(self, order=(1, 16), symbols=(2, len(POOL)))
        if not is_number(self.concentration) or not 0.01 <= self.concentration <= 1000:
            problems.append(f"concentration is {self.concentration!r}: it must lie between 0.01 and 1000, such as 0.3")
        if not problems and self.symbols**self.order > _MOST_STATES:
            states = f"symbols^order = {self.symbols}^{self.order} = {self.symbols**self.order}"
            problems.append(f"{states} states are too many: {_MOST_STATES} are possible; lower order or symbols")
        refuse(self.name, problems)

    @property
    def alphabet(self) -> list[str]:
        return letters(self.symbols)

    @cached_property
    def transitions(self) -> np.ndarray:
        """P(next symbol | state), float64 `[symbols^order, symbols]`; a state is its symbols read as a number in base
        `symbols`, the latest one last."""
        rng = np.random.default_rng(key_of(self.name, self.seed, "transitions"))
        return rng.dirichlet([self.concentration] * self.symbols, size=self.symbols**self.order)

    @cached_property
    def stationary(self) -> np.ndarray:
        """How often the chain is in each state in the long run, float64 `[symbols^order]`, by power iteration."""
        states, symbols = self.transitions.shape
        share = np.full(states, 1 / states)
        for _ in range(10_000):
            # The oldest symbol of the state is forgotten, the new one comes last.
            new = (share[:, None] * self.transitions).reshape(symbols, states // symbols, symbols).sum(0).ravel()
            if np.abs(new - share).sum() < 1e-13:
                return new / new.sum()
            share = new
        raise ValueError("the markov chain hardly mixes, so its entropy is not known: raise concentration")

    @cached_property
    def entropy(self) -> float:
        """The chain's entropy rate, nats per token: Σ over states of their share times the entropy of what follows."""
        p = self.transitions
        return float(-(self.stationary[:, None] * p * np.log(np.where(p > 0, p, 1))).sum())

    @cached_property
    def _bounds(self) -> np.ndarray:
        """Row after row of cumulative probabilities, row s raised by s: one sorted array for all states, so that one
        search draws the next symbol of many sequences."""
        cumulative = np.minimum(np.cumsum(self.transitions, axis=1), 1.0)
        cumulative[:, -1] = 1.0
        return (np.arange(len(cumulative))[:, None] + cumulative).ravel()

    def sequences(self, split: Split, indices: Sequence[int] | np.ndarray, length: int) -> Sequences:
        check_length(self.name, length, self.order)
        states, symbols = self.transitions.shape
        u = uniform(self.name, self.seed, split, indices, length + 1).T  # a row for each step
        # Begun in the long run's shares, every step is in them: the floor holds from the first counted target on.
        starts = np.cumsum(self.stationary)
        state = np.minimum(np.searchsorted(starts, u[0] * starts[-1], side="right"), states - 1)
        ids = np.empty((length + 1, u.shape[1]), dtype=np.int64)
        for t in range(self.order):
            ids[t] = state // symbols ** (self.order - 1 - t) % symbols
        u = np.minimum(u, 1 - 2.0**-35)  # so that the largest state plus u never rounds up to the next state
        for t in range(self.order, length + 1):
            base = state * symbols
            ids[t] = self._bounds.searchsorted(state + u[t], side="right") - base
            state = base % states + ids[t]
        counts = np.broadcast_to(np.arange(length) >= self.order - 1, (u.shape[1], length))
        return np.ascontiguousarray(ids.T), counts.copy()


@dataclass(frozen=True)
class Induction(SyntheticTask):
    """A random block of symbols, repeated to the end: to go on, find what followed last time.

    The block's length differs from sequence to sequence, so that no fixed distance back gives the answer, and no symbol
    stands in it twice, so that the answer is certain (with repeats the induction score stays under
    0.9).

    Args:
        seed: Chooses the sequences.
        symbols: Size of the vocabulary.
        shortest, longest: The block has from `shortest` to `longest` symbols, each length as likely.
        count: `predictable`: targets count from where the block is known to repeat (floor 0 nats); `all`: all do.
    """

    name: ClassVar[str] = "induction"
    symbols: int = 64
    shortest: int = 8
    longest: int = 32
    count: Count = "predictable"

    def __post_init__(self) -> None:
        problems = whole_numbers(self, symbols=(2, len(POOL)), shortest=(1, None), longest=(1, None))
        problems += self.count_problem()
        if not problems and not self.shortest <= self.longest <= self.symbols:
            sizes = f"shortest is {self.shortest}, longest {self.longest}, symbols {self.symbols}"
            problems.append(f"{sizes}: a block holds no symbol twice, so shortest <= longest <= symbols")
        refuse(self.name, problems)

    @property
    def alphabet(self) -> list[str]:
        return letters(self.symbols)

    def sequences(self, split: Split, indices: Sequence[int] | np.ndarray, length: int) -> Sequences:
        self.check_length(length, self.longest + 1)
        bits = random_bits(self.name, self.seed, split, indices, self.symbols + 1)
        n = self._block_lengths(bits[:, 0])[:, None]
        # The order of random numbers is a random order: its first n are drawn without replacement.
        shuffled = np.argsort(bits[:, 1:], axis=1)
        ids = np.take_along_axis(shuffled, np.arange(length + 1)[None, :] % n, axis=1)
        # The first repeated symbol (target n) cannot be foreseen: the block might have gone on.
        return ids, self.counted(np.arange(1, length + 1)[None, :] > n, ids[:, 1:].shape)

    def _block_lengths(self, bits: np.ndarray) -> np.ndarray:
        return below(bits, self.longest - self.shortest + 1) + self.shortest


@dataclass(frozen=True)
class Copy(SyntheticTask):
    """Lines such as `qxjd>qxjd`: random symbols, a mark, the same symbols again.

    Args:
        seed: Chooses the sequences.
        symbols: How many letters there are; the mark and the line end come on top.
        shortest, longest: A line copies from `shortest` to `longest` symbols.
        count: `predictable`: targets after the mark count, the line end included (floor 0 nats); `all`: all do.
    """

    name: ClassVar[str] = "copy"
    symbols: int = 26
    shortest: int = 2
    longest: int = 12
    count: Count = "predictable"

    def __post_init__(self) -> None:
        problems = whole_numbers(self, symbols=(1, 62), shortest=(1, None), longest=(1, None)) + self.count_problem()
        if not problems and self.shortest > self.longest:
            problems.append(f"shortest is {self.shortest} and longest {self.longest}: shortest <= longest")
        refuse(self.name, problems)

    @property
    def alphabet(self) -> list[str]:
        return sorted([*letters(self.symbols), "\n", ">"])

    def sequences(self, split: Split, indices: Sequence[int] | np.ndarray, length: int) -> Sequences:
        self.check_length(length, self.longest + 1)
        lines = -(-(length + 1) // (2 * self.shortest + 2))
        bits = random_bits(self.name, self.seed, split, indices, lines * (self.longest + 1))
        bits = bits.reshape(-1, lines, self.longest + 1)
        n = (below(bits[:, :, 0], self.longest - self.shortest + 1) + self.shortest)[:, :, None]
        place = {c: i for i, c in enumerate(self.alphabet)}
        drawn = np.array([place[c] for c in letters(self.symbols)])[below(bits[:, :, 1:], self.symbols)]
        column = np.arange(2 * self.longest + 2)
        # Column c of a line: symbol c, the mark at n, symbol c-n-1, the line end at 2n+1.
        which = np.where(column < n, column, np.clip(column - n - 1, 0, self.longest - 1)).clip(max=self.longest - 1)
        tokens = np.take_along_axis(drawn, which, axis=2)
        tokens = np.where(column == n, place[">"], np.where(column == 2 * n + 1, place["\n"], tokens))
        return pack(tokens, column <= 2 * n + 1, self.counted(column > n, tokens.shape), length)


@dataclass(frozen=True)
class Arithmetic(SyntheticTask):
    """Lines such as `37+58=95`: sums of two numbers drawn evenly from 0 to 10^digits - 1.

    The held-out problems are never asked in training: to answer them a model has to add, not to remember.

    Args:
        seed: Chooses the sequences and which problems are held out.
        digits: Most digits a number has.
        val_fraction: Share of all 10^(2·digits) problems that only validation asks.
        count: `predictable`: the answer counts, its line end included (floor 0 nats); `all`: all targets do.
    """

    name: ClassVar[str] = "arithmetic"
    digits: int = 2
    val_fraction: float = 0.1
    count: Count = "predictable"

    def __post_init__(self) -> None:
        problems = whole_numbers(self, digits=(1, 4)) + self.count_problem()
        if not is_number(self.val_fraction) or not 0 < self.val_fraction < 1:
            problems.append(f"val_fraction is {self.val_fraction!r}: it must lie between 0 and 1, such as 0.1")
        refuse(self.name, problems)

    @property
    def alphabet(self) -> list[str]:
        return sorted("\n+=0123456789")

    def _problems(self, split: Split, bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(a, b) for random bits: problem number k is at (step·k + shift) of all pairs, and the first share of the k is
        held out. The golden ratio spreads those evenly over all a and b."""
        pairs = 10 ** (2 * self.digits)
        held_out = min(max(1, int(pairs * self.val_fraction)), pairs - 1)
        k = below(bits, held_out) if split == "val" else below(bits, pairs - held_out) + held_out
        step = int(pairs * (5**0.5 - 1) / 2)
        while gcd(step, pairs) != 1:
            step += 1
        pair = (k * step + key_of(self.name, self.seed, "held out") % pairs) % pairs
        return pair // 10**self.digits, pair % 10**self.digits

    def sequences(self, split: Split, indices: Sequence[int] | np.ndarray, length: int) -> Sequences:
        self.check_length(length, 2 * self.digits + 2)
        lines = -(-(length + 1) // 6)  # the shortest line is 0+0=0
        a, b = self._problems(split, random_bits(self.name, self.seed, split, indices, lines))
        place, d = {c: i for i, c in enumerate(self.alphabet)}, self.digits

        def mark(character: str) -> tuple[np.ndarray, np.ndarray]:
            return np.full((*a.shape, 1), place[character]), np.ones((*a.shape, 1), bool)

        def number(x: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
            powers = 10 ** np.arange(width - 1, -1, -1)
            shown = (x[..., None] >= powers) | (powers == 1)  # no leading zeros
            return x[..., None] // powers % 10 + place["0"], shown

        parts = [number(a, d), mark("+"), number(b, d), mark("="), number(a + b, d + 1), mark("\n")]
        tokens = np.concatenate([tokens for tokens, _ in parts], axis=2)
        shown = np.concatenate([shown for _, shown in parts], axis=2)
        answer = np.arange(tokens.shape[2]) >= 2 * d + 2
        return pack(tokens, shown, self.counted(answer, tokens.shape), length)


SYNTHETIC: dict[str, type[SyntheticCorpus]] = {kind.name: kind for kind in (Markov, Induction, Copy, Arithmetic)}

"""Model variants for tests of every room: few configurations in which every pair of switches meets.

Most faults of a switch show alone or together with one other (Kuhn et al. 2004), so some dozen configurations
stand in for the thousands that all combinations would be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any

from lab.model import GPTConfig

# Every switch of the model with the values that tests meet. The first is GPT-2's.
SWITCHES: dict[str, tuple[Any, ...]] = {
    "mlp": ("gelu_tanh", "gelu", "swiglu", "relu", "relu2"),
    "positions": ("learned", "rope", "none"),
    "n_kv_heads": (None, 2, 1),
    "norm": ("layernorm", "rmsnorm"),
    "norm_position": ("pre", "post"),
    "qk_norm": (False, True),
    "tie_embeddings": (True, False),
    "bias": (True, False),
    "dropout": (0.0, 0.2),
    "logit_softcap": (None, 15.0),
    "zero_init": (False, True),
    "pad_vocab_to": (1, 64),
}
TINY = {"n_layers": 2, "n_heads": 4, "d_model": 32, "context_length": 16, "vocab_size": 65}


def all_pairs(options: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Combinations in which every value of each option meets every value of each other, found greedily.

    Each combination starts from a pair that has not met yet and takes, option by option, the value that makes
    most new pairs. Deterministic; near the least possible number, which is the product of the two largest
    options.
    """
    values = {name: range(len(choices)) for name, choices in options.items()}
    unmet = {frozenset(((a, i), (b, j))) for a, b in combinations(values, 2) for i, j in product(values[a], values[b])}
    found = []
    while unmet:
        chosen = dict(min(unmet, key=sorted))
        for name in values:
            if name not in chosen:
                chosen[name] = max(
                    values[name],
                    key=lambda i: sum(frozenset(((name, i), c)) in unmet for c in chosen.items()),
                )
        unmet -= {frozenset(pair) for pair in combinations(chosen.items(), 2)}
        found.append({name: choices[chosen[name]] for name, choices in options.items()})
    return found


def all_pairs_configs(**settings: Any) -> list[GPTConfig]:
    """Tiny models in which every pair of switches meets; `settings` fix sizes or switches (`dropout=0.0`)."""
    free = {name: choices for name, choices in SWITCHES.items() if name not in settings}
    return [GPTConfig(**{**TINY, **switches, **settings}) for switches in all_pairs(free)]


def describe(config: GPTConfig) -> str:
    """A short name for a variant in test reports: what differs from GPT-2."""
    different = {n: v for n, choices in SWITCHES.items() if (v := getattr(config, n)) != choices[0]}
    return "-".join(n if v is True else f"no_{n}" if v is False else f"{n}={v}" for n, v in different.items()) or "gpt2"

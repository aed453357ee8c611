from __future__ import annotations

from itertools import combinations, product
from typing import Literal, get_args, get_origin, get_type_hints

import pytest
import torch

from lab.model import GPT, GPTConfig
from tests.variants import SWITCHES, TINY, all_pairs, all_pairs_configs, describe

CHOICES = {name: get_args(kind) for name, kind in get_type_hints(GPTConfig).items() if get_origin(kind) is Literal}
"""The switches of the model that are one of several words."""


@pytest.mark.parametrize("switch", CHOICES)
def test_every_choice_is_among_the_variants(switch: str) -> None:
    assert set(CHOICES[switch]) == set(SWITCHES[switch])


@pytest.mark.parametrize("switch", CHOICES)
def test_no_two_choices_are_the_same_model(switch: str) -> None:
    """One that is declared but not implemented would be what the code falls through to."""
    tokens, computed = torch.arange(16)[None], set()
    for choice in CHOICES[switch]:
        torch.manual_seed(0)
        model = GPT(GPTConfig(**TINY | {switch: choice, "d_mlp": 64})).eval()
        computed.add(tuple(model(tokens).flatten().tolist()))
    assert len(computed) == len(CHOICES[switch])


def test_every_pair_meets_in_few_combinations() -> None:
    found = all_pairs(SWITCHES)
    for a, b in combinations(SWITCHES, 2):
        met = {(combination[a], combination[b]) for combination in found}
        assert met == set(product(SWITCHES[a], SWITCHES[b]))
    assert len(found) <= 16


def test_settings_are_kept_fixed() -> None:
    configs = all_pairs_configs(dropout=0.0, d_model=64)
    assert {(config.dropout, config.d_model) for config in configs} == {(0.0, 64)}
    assert len({describe(config) for config in configs}) == len(configs)

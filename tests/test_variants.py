from __future__ import annotations

from itertools import combinations, product

from tests.variants import SWITCHES, all_pairs, all_pairs_configs, describe


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

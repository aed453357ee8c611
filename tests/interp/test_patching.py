"""Activation patching."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lab.interp import Edit, activation_patching, run_with_cache
from lab.model import GPTConfig
from tests.interp.models import induction_model, lively
from tests.variants import TINY, all_pairs_configs, describe

CONFIG = GPTConfig(**TINY)
CLEAN = [5, 9, 2, 44, 7, 13]
CORRUPT = [5, 9, 30, 44, 7, 13]
VARIANTS = pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)


@VARIANTS
def test_the_whole_difference_at_the_start_restores_all(config: GPTConfig) -> None:
    """The prompts differ at position 2 alone: layer 0 there holds all of it, other positions nothing."""
    found = activation_patching(lively(config), CLEAN, CORRUPT, answer=3, wrong=8)
    assert found.patched.shape == (2, 6)
    np.testing.assert_allclose(found.restored[0], [0, 0, 1, 0, 0, 0], atol=1e-3)
    assert found.restored[1, 3] != pytest.approx(0, abs=1e-4)  # by then it has moved on; rounding is 1e-6
    assert found.metric == "logit of 3 less that of 8"


@VARIANTS
def test_patching_what_is_there_already_changes_nothing(config: GPTConfig) -> None:
    for site in ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post"):
        found = activation_patching(lively(config), CLEAN, CLEAN, answer=3, site=site)  # type: ignore[arg-type]
        np.testing.assert_allclose(found.patched, found.clean, atol=1e-4)
        assert found.clean == pytest.approx(found.corrupt, abs=1e-4)
        with pytest.raises(ValueError, match="nothing to restore"):
            _ = found.restored


def test_each_number_is_one_patched_run() -> None:
    model = lively(CONFIG)
    found = activation_patching(model, CLEAN, CORRUPT, answer=3, site="mlp_out", position=4)
    donor = run_with_cache(model, CLEAN)["mlp_out", 1]

    def put(x: torch.Tensor) -> torch.Tensor:
        x[:, 2] = donor[:, 2]
        return x

    logits = run_with_cache(model, CORRUPT, edit=Edit(model, {("mlp_out", 1): put})).logits
    assert found.patched[1, 2] == pytest.approx(float(logits[0, 4].log_softmax(-1)[3]), abs=1e-5)
    clean = run_with_cache(model, CLEAN).logits[0, 4].log_softmax(-1)[3]
    assert found.clean == pytest.approx(float(clean), abs=1e-5)
    assert found.metric == "log-probability of 3"
    assert (found.patched[:, 5] == np.float32(found.corrupt)).all()  # after the position that is read


def test_prompts_longer_than_a_batch_of_patches() -> None:
    model = induction_model(vocab_size=24, period=24)
    clean = list(range(24)) + list(range(20))
    corrupt = [*clean]
    corrupt[20] = 23  # what followed 19 the first time: 20 becomes 23
    told: list[tuple[int, int]] = []
    found = activation_patching(
        model, clean, corrupt, answer=20, wrong=23, progress=lambda done, of: told.append((done, of))
    )
    assert found.patched.shape == (2, 44)
    assert found.restored[0, 20] == pytest.approx(1, abs=1e-3)
    assert found.restored[1, 20] == pytest.approx(1, abs=1e-3)  # the induction head reads it there in layer 1
    np.testing.assert_allclose(np.delete(found.restored[0], 20), 0, atol=1e-3)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]  # 44 positions are two batches a layer


def test_unequal_lengths_are_refused_with_both_side_by_side() -> None:
    words = dict(enumerate(["The", "cat", "sat", "dog", "on"]))
    with pytest.raises(ValueError, match="clean has 3 tokens, corrupt 4") as caught:
        activation_patching(lively(CONFIG), [0, 1, 2], [0, 3, 2, 4], answer=3, show=words.__getitem__)
    assert [line.split() for line in str(caught.value).splitlines()[1:]] == [
        ["pos", "clean", "corrupt"],
        ["0", "The", "The"],
        ["1", "cat", "dog", "<"],
        ["2", "sat", "sat"],
        ["3", "-", "on", "<"],
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"answer": 65}, "answer 65 is outside the vocabulary"),
        ({"answer": 3, "wrong": -1}, "answer -1 is outside"),
        ({"answer": 3, "site": "pattern"}, "site 'pattern': choose one of resid_pre"),
        ({"answer": 3, "position": 6}, "position 6: there are 6"),
        ({"answer": 3, "clean": [CLEAN, CLEAN]}, "clean is a batch of 2"),
    ],
)
def test_bad_input_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        activation_patching(lively(CONFIG), **{"clean": CLEAN, "corrupt": CORRUPT, **settings})  # type: ignore[arg-type]

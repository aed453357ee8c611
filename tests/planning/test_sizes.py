"""What a configuration costs, asked the way the page's form asks."""

from __future__ import annotations

import json

import pytest

from lab.model import GPTConfig, count_parameters, flops_per_token
from lab.planning.memory import Step, step_memory
from lab.planning.sizes import size_of, sizes, steps_of

CONFIG = {
    "model": {
        "config": {"n_layers": 2, "n_heads": 2, "d_model": 32, "context_length": 32, "bias": False},
        "optimizer": {"name": "muon"},
    },
    "data": {"tokenizer": "bytes", "batch_size": 8, "tokens_per_step": 1024},
    "horizon": {"tokens": 1e6},
    "run": {"note": "of no matter"},
}


def test_a_configuration_has_its_costs() -> None:
    found = size_of(CONFIG, tokens_per_epoch=500_000)
    config = GPTConfig(n_layers=2, n_heads=2, d_model=32, context_length=32, bias=False, vocab_size=257)
    assert found.parameters == count_parameters(config)
    assert found.flops_per_token == flops_per_token(config)
    assert (found.tokens_per_step, found.steps) == (1024, 977)
    assert found.flops == found.tokens * flops_per_token(config)  # type: ignore[operator]
    assert found.epochs == pytest.approx(2.0, rel=0.01)
    assert found.memory == step_memory(config, Step(8, 32, 4, "muon"))
    assert json.loads(json.dumps(found.as_dict()))["memory"]["weights"] == 4 * found.parameters["total"]


def test_what_is_not_said_is_not_known() -> None:
    found = size_of({"horizon": {"minutes": 5}})
    assert (found.steps, found.tokens, found.flops, found.epochs, found.tokens_per_parameter) == (None,) * 5
    assert found.parameters["total"] > 0
    assert size_of({}).steps is None


def test_a_shape_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="not divisible"):
        size_of({"model": {"config": {"d_model": 33, "n_heads": 2}}})


@pytest.mark.parametrize(
    ("horizon", "steps"),
    [({"steps": 7}, 7), ({"tokens": 65}, 2), ({"tokens_per_parameter": 2}, 4), ({"minutes": 1}, None)],
)
def test_a_horizon_becomes_steps(horizon: dict[str, float], steps: int | None) -> None:
    assert steps_of(horizon, 64, 100) == steps


def test_disk_follows_from_how_much_is_kept() -> None:
    config = GPTConfig(n_layers=1, n_heads=1, d_model=16, context_length=16, vocab_size=32)
    found = sizes(config, Step(1, 16), steps=10, checkpoints=2, snapshots=5)
    weights = 4 * found.parameters["total"]
    assert found.disk == {"checkpoints": 2 * 3 * weights, "snapshots": 5 * weights}

"""A pilot: the target's recipe, smaller."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from lab.forecasting.ladder import Rung, computing_parameters
from lab.planning.pilots import LOOKS, pilots
from lab.settings.arguments import Arguments
from lab.settings.parse import Settings
from lab.training.levers import choose_levers
from tests.tiny import tiny_args


def test_a_pilot_tells_how_it_ended_and_how_it_got_there(tmp_path: Path) -> None:
    settings = Settings("fit", Arguments.of(tiny_args(tmp_path))).build()
    settings.data.prepare_data()
    settings.data.setup("fit")
    module, target = settings.module, settings.module.config
    measure = pilots(
        target, module.optimizer_config, module.schedule_config, settings.data,
        choose_levers(config=target, device="cpu"), total_steps=1000, seed=1, curve_tokens=None,
    )  # fmt: skip
    small = replace(target, d_model=16)
    found = measure(Rung(small, 20))
    assert (found.size, found.tokens) == (computing_parameters(small), 20 * settings.data.tokens_per_step)
    assert [part for part, _ in found.curve] == [*LOOKS, 1.0]
    assert found.curve[-1][1] == found.loss < math.log(target.vocab_size)
    assert found.seconds > 0
    assert measure(Rung(small, 20)).loss == found.loss, "a pilot is repeatable"
    assert measure(Rung(small, 20, seed=1)).loss != found.loss

"""Attention: the strongest heads, and sentences on how attention spreads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lab.report.document import Picture
from lab.report.run_record import RunRecord
from lab.report.sections.attention import attention, layer_lines, strongest
from lab.runs.series import Columns
from tests.report.runs import text_in, with_metrics


def test_the_strongest_heads_and_their_steps(record: RunRecord) -> None:
    heads = {head.kind: head for head in strongest(record)}
    assert list(heads) == ["previous_token", "duplicate_token", "induction"]
    assert (heads["induction"].layer, heads["induction"].head, heads["induction"].formed) == (1, 0, True)
    assert heads["induction"].half_at in range(190, 212)
    assert not heads["duplicate_token"].formed


def test_what_heads_do_is_said(record: RunRecord) -> None:
    text = text_in(attention(record))
    assert "**Layer 1 head 0** attends to what followed the earlier copy: 0.95 of its attention, 19 times" in text
    assert "**Layer 0 head 1** attends to the token just before" in text
    assert "No head attends to the earlier copy of the present token" in text
    assert "The first token gets most in layer 0: 110 % of its attention, 10 % at the start." in text
    pictures = [block.name for block in attention(record).blocks if isinstance(block, Picture)]
    assert pictures == ["attention", "heads", "patterns"]


def test_a_gain_from_repeats_counts_beyond_the_noise(record: RunRecord) -> None:
    gaps = (0.1, 2.0, -1.0)
    said = [text_in(attention(with_metrics(record, stats__induction_loss_gap=[0, gap]))) for gap in gaps]
    assert "cost as much when they are repeated" in said[0]
    assert "cost 2.00 nats a token less when they are repeated" in said[1]
    assert "cost 1.00 nats a token more when they are repeated" in said[2]


def test_many_layers_are_drawn_as_few_lines(record: RunRecord) -> None:
    curves = {f"stats__entropy__layer{i}": np.array([1.0, 0.5]) for i in range(24)}
    lines = list(layer_lines(with_metrics(record, **curves), "stats/entropy"))
    assert (len(lines), lines[0], lines[-1]) == (6, "layer 0", "layer 23")


def test_nothing_recorded_is_said(record: RunRecord) -> None:
    bare = replace(record, bundles=[], columns=Columns())
    assert strongest(bare) == []
    assert "Nothing was recorded of the attention (`probes.every: 0`" in text_in(attention(bare))

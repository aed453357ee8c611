"""What a run can be used for next."""

from __future__ import annotations

import shlex
from dataclasses import replace

from lab.report.run_record import RunRecord
from lab.report.sections.further_use import agreement_by_depth, further_use
from lab.runs.series import Columns
from tests.report.runs import text_in


def test_a_command_to_fine_tune_it(record: RunRecord) -> None:
    text = text_in(further_use(record))
    command = shlex.split(text.partition("`")[2].partition("`")[0])
    assert command[:6] == ["python", "-m", "lab", "fit", "--fork", "whole@400"]
    assert command[command.index("--run.root") + 1] == str(record.run.path.parent)
    assert command[command.index("--horizon.steps") + 1] == "600"


def test_heads_probes_and_pruning(record: RunRecord) -> None:
    text = text_in(further_use(record))
    assert "Open layer 0 head 1 and layer 1 head 0 on the page and ablate each of them" in text
    assert "in 100 % of the positions before layer 0, 100 % of the positions before layer 1" in text
    assert "25 % of the MLP units in layer 0 were never active" in text


def test_nothing_to_use_is_no_section(record: RunRecord) -> None:
    bare = replace(record, checkpoints=[], bundles=[], columns=Columns())
    assert agreement_by_depth(bare) == []
    assert further_use(bare).blocks == []

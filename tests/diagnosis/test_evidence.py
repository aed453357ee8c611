"""What rules look at: it grows with the run, and knows how far the run has come."""

from __future__ import annotations

import numpy as np
import pytest

from lab.diagnosis import Evidence, limits
from lab.diagnosis.evidence import unbroken_since
from lab.runs.events import Rewound, Started
from lab.runs.facts import Facts
from lab.runs.metrics_log import MetricsDelta


def test_a_rewind_takes_rows_back() -> None:
    evidence = Evidence()
    rows = [{"step": s, "train/loss": float(s)} for s in range(10)]
    evidence.apply(MetricsDelta(rows), [Started(step=0, changed={})])
    evidence.apply(MetricsDelta([{"step": 5, "train/loss": 50.0}], rewind=4), [Rewound(step=4, rewound_from=9)])
    assert evidence["train/loss"].steps.tolist() == [0, 1, 2, 3, 4, 5]
    assert evidence["train/loss"].last == 50.0
    assert evidence.step == 5
    assert [event.kind for event in evidence.events] == ["started", "rewound"]


def test_progress_and_spans_are_shares_of_the_plan() -> None:
    evidence = Evidence(Facts(total_steps=400))
    evidence.apply(MetricsDelta([{"step": 100, "train/loss": 1.0}]))
    assert (evidence.progress, evidence.span(0.1), evidence.span(0.01, 10)) == (0.25, 40, 10)
    assert not evidence.is_try(limits())
    assert Evidence(Facts(total_steps=10)).is_try(limits())
    unplanned = Evidence()
    assert (unplanned.progress, unplanned.span(0.5), unplanned.is_try(limits())) == (None, 1, False)


@pytest.mark.parametrize(("holds", "n", "since"), [("0111", 3, 1), ("0111", 4, None), ("11", 1, 0), ("10", 1, None)])
def test_a_stretch_counts_only_where_it_lasts_to_the_end(holds: str, n: int, since: int | None) -> None:
    assert unbroken_since(np.array([c == "1" for c in holds]), n) == since

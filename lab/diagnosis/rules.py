"""All rules, one file for each family.

A new rule goes into its family's file, its threshold into `thresholds.py`, and a run with the fault into
`configs/broken` and `broken_runs.py`.
"""

from __future__ import annotations

from lab.diagnosis.activations import ACTIVATIONS
from lab.diagnosis.attention import ATTENTION
from lab.diagnosis.budget import BUDGET
from lab.diagnosis.finding import Rule
from lab.diagnosis.generalisation import GENERALISATION
from lab.diagnosis.leaks import LEAKS
from lab.diagnosis.learning_rate import LEARNING_RATE
from lab.diagnosis.plateaus import PLATEAUS
from lab.diagnosis.speed import SPEED
from lab.diagnosis.stability import STABILITY
from lab.diagnosis.start import START
from lab.diagnosis.texts import TEXTS

FAMILIES = (
    STABILITY, LEAKS, START, LEARNING_RATE, ATTENTION, ACTIVATIONS, PLATEAUS, GENERALISATION, TEXTS, BUDGET, SPEED,
)  # fmt: skip
"""Where several rules find something, the cause comes before what follows from it."""
RULES: dict[str, Rule] = {rule.name: rule for family in FAMILIES for rule in family.rules}

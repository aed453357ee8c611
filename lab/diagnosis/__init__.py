"""What is wrong with a run: rules over its curves, its events and what was known before its start.

    from lab.diagnosis import diagnose
    for finding in diagnose(open_run("last")).findings: print(finding.level, finding.what)

A rule is a small pure function of the run so far (`evidence`) and the thresholds (`thresholds`). To read in this order:
`finding` (what a rule gives) ← one file for each family of rules: `stability`, `leaks`, `start`, `learning_rate`,
`attention`, `activations`, `plateaus`, `generalisation`, `texts`, `budget`, `speed` ← `rules` (all of them) ← `monitor`
(applies them as a run grows). `broken_runs` names the runs of `configs/broken`, one for each fault. Imports neither
torch nor Lightning.
"""

from lab.diagnosis.evidence import Evidence
from lab.diagnosis.monitor import CADENCE, Diagnosis, Monitor, apply_rules, diagnose, limits_of
from lab.diagnosis.rules import RULES
from lab.diagnosis.thresholds import THRESHOLDS, limits
from lab.runs.events import LEVELS, Finding

__all__ = [
    "CADENCE",
    "LEVELS",
    "RULES",
    "THRESHOLDS",
    "Diagnosis",
    "Evidence",
    "Finding",
    "Monitor",
    "apply_rules",
    "diagnose",
    "limits",
    "limits_of",
]

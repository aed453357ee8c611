"""The doctor: what ails a run, told from its curves, its events and what was known before its start.

    from lab.diagnosis import diagnose
    for finding in diagnose(open_run("last")).findings: print(finding.level, finding.what)

A rule is a small pure function of the run so far (`history.py`) and the thresholds (`thresholds.py`); rules of one
kind share a file, `rules.py` lists all. Imports neither torch nor Lightning. Live it is `lab.callbacks.doctor`.
"""

from lab.diagnosis.doctor import Diagnosis, Doctor, cadence, diagnose
from lab.diagnosis.facts import Facts
from lab.diagnosis.finding import LEVELS, Finding
from lab.diagnosis.history import Curve, History
from lab.diagnosis.rules import RULES
from lab.diagnosis.thresholds import THRESHOLDS, limits

__all__ = [
    "LEVELS",
    "RULES",
    "THRESHOLDS",
    "Curve",
    "Diagnosis",
    "Doctor",
    "Facts",
    "Finding",
    "History",
    "cadence",
    "diagnose",
    "limits",
]

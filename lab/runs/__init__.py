"""The run directory: training writes it, everything that looks at training reads it.

from lab.runs import create_run, open_run, list_runs
run = open_run("last")
run.status().state, run.metrics().latest("val/loss"), run.checkpoints()
"""

from lab.runs.history import MetricsHistory, MetricsReader, MetricsWriter
from lab.runs.journal import EventReader, EventWriter, SampleWriter
from lab.runs.lock import RunLock
from lab.runs.run import Run, create_run, list_runs, open_run
from lab.runs.status import Status, StatusWriter

__all__ = [
    "EventReader",
    "EventWriter",
    "MetricsHistory",
    "MetricsReader",
    "MetricsWriter",
    "Run",
    "RunLock",
    "SampleWriter",
    "Status",
    "StatusWriter",
    "create_run",
    "list_runs",
    "open_run",
]

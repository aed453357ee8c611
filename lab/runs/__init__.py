"""The run directory: training writes it; page, report and commands read it, without torch or Lightning.

    from lab.runs import open_run
    run = open_run("last")
    run.status().state, run.metrics().latest("val/loss"), run.checkpoints()

Format 1
========

Files are UTF-8. Times (`wall`, `heartbeat`, …) are Unix seconds, UTC. Losses are nats per token. A number
that is not known is `null`; NaN and infinity are not JSON and become `null`. Files marked R are replaced
as a whole (temporary file in the same folder, synced, renamed), so what is read is whole; temporary files
start with `.tmp-`. Files marked A only grow by lines: a last line without its newline is not there yet, a
line that is no JSON object is skipped.

`run.json` (R): `format` 1 · `name` · `state`: starting, running, paused, stopped, completed or failed ·
`step` (optimizer steps done), `total_steps`, `tokens` · `tokens_per_second`, `eta_seconds` · `losses`:
{metric: latest} · `message`: why it stopped or failed · `created`, `started` (its present process),
`updated` · `heartbeat`, every 5 s from a thread, with `heartbeat_monotonic`, `machine`, `host`, `pid`,
`process_start`: the process that writes it, and its clock · `parent`: {"run", "step"} of a fork · `levers`: what was
chosen by device · `versions`, `git`: {"commit", "dirty"}, `command` · `details`: anything else,
such as `horizon`, `parameters`, `defaults`: {setting that was chosen otherwise: its default}. A reader
concludes `stale` when the state is one of the first three and the process is gone or its heartbeat has not
moved for 15 s (`lab/runs/heartbeats.py`), and `broken` when the file is missing, damaged or foreign.

`seams.json` (R; its format: `lab/runs/seams.py`): what held from which step on, where settings changed in the
middle of the run: tokens and sequences of every step follow from it.

`data.json` (R), `predictions.json` (R; its format: `lab/runs/predictions.py`), `tokenizer.json` (R),
`config.yaml` (R): one object each, the rooms that write them define the content. `report.md`,
`tensorboard/`, `wandb/`: for reading and for dashboards; nothing here reads them.

`metrics.jsonl` (A): {"step", "tokens", "time", "wall", metric: number or null, …}. `step`: optimizer steps
done when it was measured (the loss before the first update is step 0), `tokens` seen by then, `time`:
training seconds without pauses. Steps never shrink from line to line, with one exception: {"step",
"rewound_from", "wall"} says that training went back to `step`; what lies beyond it no longer counts. Lines
of one step are one row; of two values of one metric the later counts. Metrics are declared in
`lab/runs/metrics.py`.

`events.jsonl` (A): {"kind", "step" or null, "wall", …}; the kinds and their fields: `lab/runs/events.py`. A
rewind drops no event.

`samples.jsonl` (A): {"step", "wall", "prompt", "text", …}.

`checkpoints/step-00001000.ckpt` (R) with `step-00001000.json` (R, written after it): {"format" 1, "step",
"tokens", "sequences", "losses", "model_config", "sha256", "size" in bytes, "probe_loss", "kind": regular, milestone,
interrupted or final, "wall"}. A checkpoint counts only with its facts. `last.*` and `best.*` are hard links
to the files of a step.

`snapshots/step-00001000.safetensors` (R) with its .json likewise, kind snapshot: weights only, at steps 0,
1, 2, 4, 8, … below k, then every k. Names that share one tensor are stored once; the header's `shared` maps
the others to it.

`probes/step-00001000.npz` (R): arrays, one file a snapshot; format in `lab/runs/reference_texts.py`.

`control/{id}.json` (R): {"format" 1, "id", "command", "args", "wall", "pid"}; the trainer removes it when
it takes it, and answers with an event command_answered or command_refused that carries the same `id`. Ids
sort by time.

`.lock`: flock'ed by the process that trains; holds {"pid", "host", "since"}. Never removed.
"""

from lab.runs.checkpoints import CheckpointInfo
from lab.runs.events import EventReader, EventWriter
from lab.runs.lines import Cursor
from lab.runs.lock import RunLock
from lab.runs.metrics_log import MetricsDelta, MetricsHistory, MetricsReader, MetricsWriter
from lab.runs.run import Run, create_run, list_runs, open_run
from lab.runs.samples import SampleReader, SampleWriter
from lab.runs.status import Status, StatusWriter

__all__ = [
    "CheckpointInfo",
    "Cursor",
    "EventReader",
    "EventWriter",
    "MetricsDelta",
    "MetricsHistory",
    "MetricsReader",
    "MetricsWriter",
    "Run",
    "RunLock",
    "SampleReader",
    "SampleWriter",
    "Status",
    "StatusWriter",
    "create_run",
    "list_runs",
    "open_run",
]

"""A fit's callbacks: each decides *when*; `lab.interp`, `lab.figures` and `lab.runs` do the work.

Reading order: `metrics_log`, `validation`, `snapshots`, `checkpoints`, `interrupts`, `run_control`, `progress`;
`neighbours` (giving way to other programs), `compiling` (compiled steps once they are ready); `instrument` (what all
instruments share) and `instruments` (all of them, in the order in which they look); `looks` (what gives way where they
take too long); `dashboards` and `loggers` (where numbers and pictures go). `faults` is for `configs/broken` alone.
"""

"""A fit's instruments: each callback decides *when*; `lab.interp`, `lab.figures` and `lab.runs` do the work."""

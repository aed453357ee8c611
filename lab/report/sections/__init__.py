"""The sections of a report, a file each: a function from the record of a run to its section.

A sentence appears only if this run's own numbers say it; what is not known is left out or `n/a`.
"""

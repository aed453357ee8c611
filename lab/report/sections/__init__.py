"""The sections of a report, a file each: a function from the record of a run to what there is to say of it.

A sentence is in a section only if this run's own numbers say it; what is not known is left out or `n/a`.
"""

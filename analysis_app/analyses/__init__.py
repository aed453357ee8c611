"""The analyses: a model of the library and `lab.interp` give plain values and arrays, one file an analysis."""

"""The runs under one folder, the models of theirs in memory, and results that are kept."""

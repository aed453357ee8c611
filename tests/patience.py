"""How long a test waits for what must come: an end for what hangs, and no bar. A crowded machine takes far less."""

PATIENCE = 1500.0
"""Seconds for a process or an answer; below pytest's own limit (pyproject.toml), so that a test says what is absent."""
PAGE_PATIENCE = 300_000
"""Milliseconds for each thing that a page is to show."""

"""The training recipe: the step, its optimizer and schedule, what a run's length is, and what is written about it."""

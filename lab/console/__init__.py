"""What a terminal shows: mistakes in a line each, numbers in few characters, a fit, a plan.

`terminal` and `format` are light (every command uses them); `fit`, `plan` and `predictions` know what they print.
"""

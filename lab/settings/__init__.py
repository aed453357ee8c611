"""All settings of a run: what was given, which groups there are, and whether they fit together.

    Settings("fit", Arguments.of(["--config", "quickstart", "--horizon.steps", "100"]))

Reading order: `arguments` (files and flags as given), `groups` (one table of all groups), `messages` (what is said of
a mistake), `check` (all groups together), `parse` (arguments → settings).
"""

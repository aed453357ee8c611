"""The retrospective of a run: what was built, what came of it, what that tells, made from the run's files alone.

    from lab.report import Writer, report_on
    Writer(report_on(run)).markdown(run.report_path)

Nothing in training calls anything here; a report can be written of a run that is dead, torn, live, or of another
machine, and again at any time: what the person wrote into it stays. Inside: `document`, `markup`, `words`, `blanks` ←
`record` (what the files say) ← `curve` ← `sections/` ← `retrospective`, `across` (all runs) ← `markdown`, `page` ←
`files`.
"""

from lab.report.across import report_on_all
from lab.report.files import Writer, words_of
from lab.report.retrospective import report_on

__all__ = ["Writer", "report_on", "report_on_all", "words_of"]

"""The report of a run: what was trained, how it went and what follows from it, made from the run's files alone.

    from lab.report import Writer, report_on
    Writer(report_on(run)).markdown(run.report_path)

It can be written of a finished, live, dead or damaged run, and again at any time: text that the user wrote into it
stays. To read in this order: `document` (sections and blocks), `markup`, `formatting`, `user_text` (kept when the
report is written again) ← `run_record` (what the run's files say) ← `loss_curve` ← `sections/` (a file each) ←
`one_run`, `all_runs` ← `markdown`, `html_page` ← `writer`.
"""

from lab.report.all_runs import report_on_all
from lab.report.one_run import report_on
from lab.report.user_text import user_texts_in
from lab.report.writer import Writer

__all__ = ["Writer", "report_on", "report_on_all", "user_texts_in"]

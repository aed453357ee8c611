"""The runs under one folder (`runs`), their weights as rows (`checkpoints`), models in memory (`opened`), and results
that are kept (`result_cache`).
"""

from analysis_app.library.checkpoints import WeightsRow
from analysis_app.library.opened import Opened, no_progress
from analysis_app.library.runs import ConflictError, Library, NotFoundError, RunSummary

__all__ = ["ConflictError", "Library", "NotFoundError", "Opened", "RunSummary", "WeightsRow", "no_progress"]

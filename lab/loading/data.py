"""A run to the data it learned from."""

from __future__ import annotations

from lab.data.corpora import files_to_download
from lab.data.dataset import LabData
from lab.data.places import from_folder
from lab.data.synthetic import SYNTHETIC
from lab.runs import Run


def load_data(run: Run, step: int | None = None, *, download: bool = True) -> LabData:
    """The data of a run: its `step_batch(n)` is what step n learned from.

    Args:
        run: Its seams.json (or config.yaml and data.json) names the corpus and its content, its tokenizer.json the
            vocabulary.
        step: The data as they were at that step: other settings may have held there than at the end. None: as they
            are now.
        download: Whether a published corpus may be fetched again; if not, it must be on this machine.

    Raises `ValueError` where the run has no records of its data, or the corpus is gone or has changed.
    """
    seams = run.seams()
    if seams is None or not seams.last.settings:
        missing = run.config_path if run.config() is None else run.data_path
        raise ValueError(f"run {run.name!r} has no {missing.name}: it did not get as far as its data")
    held = seams.last if step is None else seams.at(step)
    try:
        settings = from_folder(held.settings["data"], held.folder)
        # Both may have followed from other settings: from the model's, and from the number of processes.
        settings |= {"context_length": held.context_length, "tokens_per_step": held.tokens_per_step}
        if settings["corpus"] not in SYNTHETIC:
            settings["tokenizer"] = str(run.tokenizer_path)
        data = LabData(**settings)
    except (KeyError, TypeError) as error:
        files = f"{run.config_path} or {run.data_path.name}"
        raise ValueError(f"{files} does not describe data that this version knows: {error}") from None
    data.begin = (held.step, held.sequences)
    corpus, options = data.settings.corpus, data.settings.corpus_options or {}
    if not download and (missing_files := files_to_download(corpus, data.settings.data_dir, **options)):
        raise ValueError(
            f"the corpus {corpus!r} of {run.name!r} is not on this machine any more "
            f"({missing_files[0].name} is missing); `python -m lab batch {run.name} 0` fetches it again"
        )
    if (why := data.differs_from(held.described(run.data() or {}))) is not None:
        raise ValueError(
            f"the corpus {corpus!r} is no longer the one that {run.name!r} learned from ({why}): put the files back as"
            f" they were, or open it with the version of Python and of the lab that the run had"
        )
    return data

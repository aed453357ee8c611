"""A run to the data it learned from."""

from __future__ import annotations

from lab.data.corpora import files_to_download
from lab.data.dataset import LabData
from lab.data.synthetic import SYNTHETIC
from lab.runs import Run


def load_data(run: Run, *, download: bool = True) -> LabData:
    """The data of a run, as it was when the run began: its `step_batch(n)` is what step n learned from.

    Args:
        run: Its config.yaml names the corpus, its data.json the content, its tokenizer.json the vocabulary.
        download: Whether a published corpus may be fetched again; if not, it must be on this machine.

    Raises `ValueError` where the run has no records of its data, or the corpus is gone or has changed.
    """
    config, facts = run.config(), run.data()
    if config is None or facts is None:
        missing = run.config_path if config is None else run.data_path
        raise ValueError(f"run {run.name!r} has no {missing.name}: it did not get as far as its data")
    try:
        settings = dict(config["data"])
        # Both may have followed from other settings: from the model's, and from the number of processes.
        settings |= {name: facts[name] for name in ("context_length", "tokens_per_step")}
        _ = facts["corpus"]["fingerprint"]
        if settings["corpus"] not in SYNTHETIC:
            settings["tokenizer"] = str(run.tokenizer_path)
        data = LabData(**settings)
    except (KeyError, TypeError) as error:
        files = f"{run.config_path} or {run.data_path.name}"
        raise ValueError(f"{files} does not describe data that this version knows: {error}") from None
    corpus, options = data.settings.corpus, data.settings.corpus_options or {}
    if not download and (missing_files := files_to_download(corpus, data.settings.data_dir, **options)):
        raise ValueError(
            f"the corpus {corpus!r} of {run.name!r} is not on this machine any more "
            f"({missing_files[0].name} is missing); `python -m lab batch {run.name} 0` fetches it again"
        )
    if (why := data.differs_from(facts)) is not None:
        raise ValueError(
            f"the corpus {corpus!r} is no longer the one that {run.name!r} learned from ({why}). Was it another "
            f"version of Python or of the lab, or has a file changed?"
        )
    return data

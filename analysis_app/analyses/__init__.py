"""The analyses, one file each: a model of the library and `lab.interp` give plain values and arrays.

`declaration` says how one is declared; `text`, `token_labels`, `head_scores` and `reference_texts` are what several
share. Importing this package declares all of them (`declaration.ANALYSES`).
"""

from analysis_app.analyses import (
    ablation,
    activations,
    anatomy,
    attention,
    batch,
    embeddings,
    experiments,
    neurons,
    patching,
    position_loss,
    predictions,
    reproduction,
    through_time,
    training_norms,
)

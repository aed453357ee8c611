"""What stands where in each tab; `TABS` in the order of `analysis_app.page.selection.TABS`."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from analysis_app.page import panels as make


def live() -> None:
    """A run as it trains."""
    make.live()


def checkpoints() -> None:
    """All weights of the run."""
    make.checkpoint_table()


def attention() -> None:
    """All heads beside the chosen one; under them the computation of one row."""
    with gr.Row(elem_classes="lab-split", equal_height=False):
        make.head_grid()
        make.heatmap()
    make.row_steps()


def predictions() -> None:
    """Loss of each token; what comes next and who says so; how the guess forms."""
    make.loss_text()
    with gr.Row(elem_classes="lab-split", equal_height=False):
        make.next_bars()
        make.attribution_bars()
    make.lens_grid()
    make.position_loss()
    make.patching()


def activations() -> None:
    """The stream as a map and for one token; histograms of what flows into it; one neuron; the layers over training;
    the vocabulary.
    """
    with gr.Row(elem_classes="lab-split", equal_height=False):
        make.residual_map()
        make.residual_bars()
    make.histograms()
    with gr.Row(elem_classes="lab-split", equal_height=False):
        make.neuron()
        make.neuron_examples()
    make.training_norms()
    make.embedding_map()


def time() -> None:
    """The player; all heads beside the chosen one; the curves on one axis."""
    make.time_player()
    with gr.Row(elem_classes="lab-split", equal_height=False):
        make.time_grid()
        make.time_map()
    make.time_curves()


def generate() -> None:
    """Text as the model writes it."""
    make.writer()


def anatomy() -> None:
    """The model drawn as its data flows."""
    make.anatomy()


def sick() -> None:
    """What is wrong with this run?"""
    make.sick_runs()


def experiments() -> None:
    """Runs over each other; what sets them apart; the text of one batch."""
    make.experiments_runs()
    make.experiments_chart()
    make.experiments_differences()
    make.batch_text()


BUILDERS: dict[str, Callable[[], None]] = {
    "live": live,
    "checkpoints": checkpoints,
    "attention": attention,
    "predictions": predictions,
    "activations": activations,
    "time": time,
    "generate": generate,
    "anatomy": anatomy,
    "experiments": experiments,
    "sick": sick,
}

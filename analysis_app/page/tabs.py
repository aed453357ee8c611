"""The tabs of the page in their order, the panels in each, and the panels' titles and help."""

from __future__ import annotations

from dataclasses import dataclass

READS = "Each row shows from which earlier tokens that token reads."
QUIZ = (
    "Each of these small runs has one fault. Look at the curves, choose the cause, and see the evidence. Your first "
    "guesses are kept in the runs folder."
)
ANATOMY = (
    "Your text on its way through this model, from top to bottom. Open a part to see what it does, with its real "
    "numbers and the code that computes them. Click a column of a picture to follow that token."
)
# Title and help by the name of the JavaScript module in `components/`; a module that is not here has no frame.
PANELS: dict[str, tuple[str, str]] = {
    "checkpoint_table": (
        "Checkpoints and snapshots",
        "Losses in nats per token. Click a row to select those weights on every tab; “as B” compares with them.",
    ),
    "head_grid": ("All heads", "Point to preview, click to lock, Esc unlocks, double-click enlarges, arrow keys move."),
    "heatmap": ("One head", READS),
    "row_steps": ("Computation of one row", "From dot products to the weights of an average, step by step."),
    "residual_map": ("Residual stream", "The L2 norm of the vectors at every layer and token."),
    "residual_bars": ("One token, layer by layer", "What attention and MLP add to the stream."),
    "histograms": ("Histograms of activations", "The same bin edges at every step, so that steps can be compared."),
    "neuron": ("One neuron", "A hidden unit of an MLP: how active it is at each token of the text."),
    "neuron_examples": ("Where it is most active", "Its highest activations in the validation text: one end of many."),
    "training_norms": (
        "Norms of each layer over training",
        "Click to select the snapshot nearest to that step; the vertical line is the selected one.",
    ),
    "embedding_map": ("Token embeddings", "In two dimensions: tokens that lie close are read alike by the model."),
    "loss_text": ("Loss of each token", "The stronger the colour, the higher the loss. Click a token to pin it."),
    "next_bars": ("Next token", "The sliders reshape the bars at once; the model is not run again."),
    "attribution_bars": (
        "Direct logit attribution",
        "What each head and MLP added to the logit of the first guess, with the final norm held fixed.",
    ),
    "lens_grid": ("Logit lens", "What the model would predict if it stopped after each layer."),
    "position_loss": (
        "Loss by position",
        "The loss by the number of tokens read before: it falls as far as they help.",
    ),
    "patching": (
        "Activation patching",
        "One activation of the first text is put into the second: how much of the first answer comes back?",
    ),
    "time_player": (
        "Through time",
        "The text stays the same, the weights change. Drag, or play: by keyboard Space, arrows, Home and End.",
    ),
    "time_grid": ("All heads, at this step", "The same colours at every step, so that changes show."),
    "time_map": ("One head, at this step", READS),
    "time_curves": (
        "Curves over training",
        "One axis and one cursor: the step shown above. Click anywhere to go there.",
    ),
    "writer": ("Generate text", "Expected tokens are plain, improbable ones are coloured. Click one to branch there."),
    "anatomy": ("From text to the next token", ANATOMY),
    "experiments_runs": ("Runs", "Tick the runs to compare."),
    "experiments_chart": (
        "Curves",
        "Drag to zoom, double-click to see all. Click a curve for the text that this step learned from.",
    ),
    "experiments_differences": ("Differing settings", "Every setting that is not the same in all of them."),
    "batch_text": ("Text of a batch", "The text of one training step, coloured by the loss of each token."),
    "diagnosis_quiz": ("Diagnosis quiz", QUIZ),
}


@dataclass(frozen=True)
class Tab:
    """A tab: what stands on it, and rows of panels, one or two beside each other."""

    label: str
    rows: tuple[str, ...]


TABS = {  # by the name that the address has for it
    "live": Tab("Live", ("live",)),
    "checkpoints": Tab("Checkpoints", ("checkpoint_table",)),
    "attention": Tab("Attention", ("head_grid heatmap", "row_steps")),
    "activations": Tab(
        "Activations",
        ("residual_map residual_bars", "histograms", "neuron neuron_examples", "training_norms", "embedding_map"),
    ),
    "predictions": Tab(
        "Predictions", ("loss_text", "next_bars attribution_bars", "lens_grid", "position_loss", "patching")
    ),
    "time": Tab("Through time", ("time_player", "time_grid time_map", "time_curves")),
    "generate": Tab("Generate", ("writer",)),
    "anatomy": Tab("Anatomy", ("anatomy",)),
    "experiments": Tab(
        "Experiments", ("experiments_runs", "experiments_chart", "experiments_differences", "batch_text")
    ),
    "sick": Tab("Diagnosis quiz", ("diagnosis_quiz",)),
}
DEFAULT_TAB = "live"

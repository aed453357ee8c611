"""A run and a step, or a Hugging Face folder, to a model and its tokenizer; a run to the data it learned from.

    model, tokenizer = lab.load("quickstart")               # the newest weights
    model, tokenizer = lab.load("quickstart", step=128)     # any snapshot or checkpoint
    model, tokenizer = lab.load("path/to/gpt2")             # config.json and model.safetensors

Only tensors and plain values are read, never code, so a checkpoint from anywhere can be opened.
"""

from lab.loading.data import load_data
from lab.loading.weights import Loaded, find_weights, list_weights, load

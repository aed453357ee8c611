"""Generating text: sampling in one fixed order, and a cached stream of steps with their probabilities.

    for step in stream(model, tokens, Sampling(temperature=0.8, top_k=50)):
        ...
    text = "".join(stream_text(model, tokenizer, "def "))

Takes a model and a tokenizer and loads nothing itself.
"""

from lab.generation.decoding import Alternative, Step, stream, stream_text, with_text
from lab.generation.prompt import Prompt, read_prompt
from lab.generation.sampling import Distribution, Sampling, distribution, draw

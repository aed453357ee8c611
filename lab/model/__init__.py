"""The network, in pure PyTorch: a GPT with switches, what it costs, and how published GPT-2 weights map onto it.

Uses no Lightning, no files and no tokenizer.
"""

from lab.model.cache import KVCache
from lab.model.config import GPTConfig
from lab.model.count import count_parameters, flops_per_token, forward_flops_per_token
from lab.model.gpt import GPT
from lab.model.loss import cross_entropy
from lab.model.taps import Tap

"""All instruments of a fit, in the order in which they look. Each is a group of settings of its own.

Throughput comes first: it counts only what lies before it in a step. Diagnose comes last: it reads what the others have
written.
"""

from __future__ import annotations

from lab.callbacks.activation_histograms import ActivationHistograms
from lab.callbacks.attention_maps import AttentionMaps
from lab.callbacks.audit import Audit
from lab.callbacks.diagnose import Diagnose
from lab.callbacks.gradient_noise import GradientNoise
from lab.callbacks.instrument import Instrument
from lab.callbacks.reference_texts import ReferenceTexts
from lab.callbacks.samples import Samples
from lab.callbacks.throughput import Throughput

INSTRUMENTS: tuple[type[Instrument], ...] = (
    Throughput,
    Audit,
    GradientNoise,
    ActivationHistograms,
    ReferenceTexts,
    AttentionMaps,
    Samples,
    Diagnose,
)

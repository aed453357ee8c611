"""Activations: norms along the residual stream, what each head writes, histograms, dead and saturated units."""

from __future__ import annotations

from analysis_app.analyses.declaration import Answer, OneHead, OneLayer, analysis
from analysis_app.analyses.text import check_part, read_text
from analysis_app.library import Opened
from lab import interp

SITES = tuple(sorted({*interp.RESIDUAL_SITES, *interp.NEURON_SITES, *interp.HISTOGRAM_SITES, *interp.WRITING_SITES}))


@analysis("activations", endpoint=True)
def activations(opened: Opened, text: str | None = None, layer: OneLayer = None, head: OneHead = None) -> Answer:
    """Norms and directions along the residual stream, what each head writes, histograms, and the share of units that
    are dead or always on: of all layers and heads, or of one.
    """
    source = read_text(opened, text)
    layers, heads = check_part(opened, layer, head)
    with opened.lock:
        cache = interp.run_with_cache(opened.model, source.ids, SITES)
        norms, cosines = interp.residual_norms(cache), interp.branch_cosines(cache)
        writing = interp.head_norms(opened.model, cache)[:, 0]
        units, histograms = interp.neuron_activity(cache), interp.activation_histograms(cache)
    kept = [i for i, site in enumerate(histograms.labels) if layer is None or site.startswith(f"blocks.{layer}.")]
    return {
        "source": source,
        "layer": layer,
        "head": head,
        "quantities": norms.labels,
        "norms": norms.values[:, layers, 0],  # [quantity, layer, pos] L2 norms
        "cosine_names": cosines.labels,
        "cosines": cosines.values[:, layers, 0],  # [branch, layer, pos] of what it adds with the stream it adds to
        "head_norms": writing[layers, heads],  # [layer, head, pos] L2 norms of each head's share of what attention adds
        "dead_share": units.dead_share[layers],  # [layer] of units that no token of this text switched on
        "saturated_share": units.saturated_share[layers],  # [layer] of units that every token switched on
        "sites": [histograms.labels[i] for i in kept],
        "edges": histograms.edges,  # [edge]
        "counts": histograms.counts[kept],  # [site, edge+1] below, in each bin, above
        "minimum": histograms.minimum[kept],  # [site]
        "maximum": histograms.maximum[kept],  # [site]
    }

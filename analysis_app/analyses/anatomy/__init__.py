"""The model drawn as its data flows: what each part is, what it does to the chosen text, and the code that does it.

`source_code` finds the functions, `descriptions` explains each part for the switches of the model at hand, `numbers`
summarises an activation, `parts` lists all parts in order, `inside` the activations within one.
"""

from analysis_app.analyses.anatomy.inside import inside
from analysis_app.analyses.anatomy.parts import anatomy

__all__ = ["anatomy", "inside"]

"""The model drawn as its data flows: what each part is, what it does to the chosen text, and the code that does it.

`code` finds the functions, `words` explains each part for the switches of the model at hand, `parts` puts them in
order with their shapes, parameters and numbers, `routes` hands them out.
"""

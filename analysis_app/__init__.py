"""The analysis page: open any checkpoint of any run in the browser and look inside.

    python -m analysis_app --runs runs

One process: FastAPI with the routes under `/api/` and the Gradio page at `/`. The page keeps one selection (run,
step, text, layer, head, token, tab), writes it into its address, and reads everything from those routes, as
anybody's script can. Files, in the order of their dependence: `labels` and `selection` (plain values), `results`
(what is computed once), `library` (runs and a cache of models), `jobs` (work that takes a while), `views` and
`services` (run + step + text → numbers), `validation`, `neurons`, `embeddings`, `patching` and `norms` (the same of
more than a text), `writing` (text, streamed), `api`, `studies` and `guard` (routes, and who may ask), `endpoints`
(the same for gradio_client), `panel`, `components`, `tabs` and `page` (what is seen), `app` (all of it put
together), `__main__` (the command).

It knows the trainer only by the run directories: nothing of training is imported here.
"""

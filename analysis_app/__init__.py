"""The analysis page: open any checkpoint of any run in the browser and look inside.

    python -m analysis_app --runs runs

One process: FastAPI with the routes under `/api/` and the Gradio page at `/`. The page keeps one selection (run,
step, text, layer, head, token, tab), writes it into its address, and reads everything from those routes, as
anybody's script can. Rooms, in the order of their dependence: `library` (the runs, and the models in
memory), `analyses` (model + text → plain values, one file an analysis), `steering` (starting, following and steering
a training), `page` (layout, tabs, panels, the selection) with `components` (its JavaScript), `server` (routes,
WebSocket, endpoints, and who may ask), `__main__` (the command).

It knows the trainer only by the run directories: nothing of training is imported here.
"""

"""The analysis page: open any checkpoint of any run in the browser and look inside.

    python -m analysis_app --runs runs

One process: FastAPI with the routes under `/api/` and the Gradio page at `/`. The page keeps one selection (run, step,
text, layer, head, token, tab), writes it into its address, and reads everything from those routes, as any script can.

Rooms, each importing only from those before it:
- `library` the runs under one folder, models in memory, results that are kept.
- `analyses` model + text → plain values, one file an analysis; `steering` starting, following and steering a training.
- `page` layout, tabs, panels, the selection; `components` their JavaScript, a file a panel.
- `server` routes, WebSocket, endpoints, access control; `__main__` the command.

It knows the trainer only by the run directories: nothing of training is imported here.
"""

import lab  # before Gradio: puts off what that imports and the page does not use

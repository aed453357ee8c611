"""The REST routes under `/api/`, one file a subject, each with a function `routes(library, …)`:

analyses        POST /api/analyze/{name}: one for each declared analysis (`analysis_app.analyses`)
runs            GET /api/health, /api/runs, /api/runs/{name}/checkpoints, /api/runs/{name}/timeline
metrics         GET /api/runs/{name}/metrics, on request what the WebSocket sends
selection       GET /api/selection: what an address of the page stands for
tokens          POST /api/tokens: how a text is split
generate        POST /api/generate: text from a model
source_code     GET /api/code/{name}: the function that computes a part of the model
training        /api/train/options, start, status, pause, resume, stop, checkpoint, sample, lr
plan            POST /api/train/plan, /api/train/rehearse: what a run would cost
diagnosis_quiz  /api/sick: runs with a fault, guesses, answers
"""

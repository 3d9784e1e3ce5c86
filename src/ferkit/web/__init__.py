"""The page: routes, templates and scripts of ``ferkit serve``.

`server` holds the address, the token and uvicorn; `guard` who may ask; `turns` how many questions wait; `app` the
routes, each of which calls `ferkit.workflows.serve.Viewer` once; `question` a question as the page's address holds it.
"""

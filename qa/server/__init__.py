"""kbqa as a service: `kbqa serve`. Nothing here is imported unless it is asked for.

app.py          create_app(settings): builds every object; the list of layers and resources
running.py      serve(settings): the checks before, uvicorn, the end
problems.py     which error is told with which status (RFC 9457)
access.py       who may what, on which base: the one dependency of every route
keys.py         the keys behind it; limits.py how much of everything one key may use
guards.py       what no request gets past: host, origin, size and speed of a body; connections.py of
                its head
observing.py    request id, log, metrics and audit of every request
bases.py        the knowledge bases, open; uploads.py the files; jobs.py the ingests
streaming.py    work in a thread whose pieces go out as they come, until the client leaves
models.py       the forms of requests and replies, with ask_forms.py and openai_forms.py
routes/         one file for each resource; mcp_tools.py what they show to models
"""

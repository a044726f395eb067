"""The door: HTTP, and nothing but HTTP. Alone imports Litestar.

`app` puts machines' endpoints (`api`) and pages (`pages`) behind one ASGI callable; `asgi` reads requests and writes
answers, `errors` alone knows status lines, `openapi` describes what `api` routes, `server` runs it all.
"""

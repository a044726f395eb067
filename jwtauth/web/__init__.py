"""The door: HTTP, and nothing but HTTP. Alone imports Litestar.

`server` runs it all. `http` reads what arrives: a machine's request is answered by an `exchange`, with others of its
`turn`, all else through ASGI. `app` puts machines' endpoints (`api`), documents (`publications`) and status lists
(`status`) before `people`, which imports the pages (`site`, `pages`) with the first request for one. `asgi` reads
requests, `reply` writes answers, `errors` alone knows which status a refusal has, `openapi` describes what is routed.
"""

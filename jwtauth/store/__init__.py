"""The memory: a few small ports, each method one atomic step with a stated guarantee, and the adapters behind them.

`ports` says what is guaranteed; `sqlite` keeps it in one SQLite file. What is worth remembering is decided in
`jwtauth.protocol`, when to ask in `jwtauth.endpoints`.
"""

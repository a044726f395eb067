"""What happened, told to whoever listens: one event type, several listeners.

`events` is what the endpoints tell; `sieve` lets no flood through; `log` writes it for those who watch, `audit` for
those who ask later, and `audit_chain` reads that; `metrics` counts it, and `worker_files` adds up what several workers
counted. `arrival` is the request that all of them may name. Who may read what is decided in `jwtauth.web`, and by the
owner of the files.
"""

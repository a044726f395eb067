"""The SQLite adapter: one file in WAL mode, one writer thread per process, one reader connection.

`store` puts the ports together; `connection` opens files, `migrations` shapes them, `writer` commits; `grants`,
`sessions`, `consents`, `logouts`, `positions`, `revocations`, `directory`, `attempts` and `administration` are one port
each. What several of them need stands beside: `rows`, `origins`, `endings`, `sweep`.
"""

"""The SQLite adapter: one file in WAL mode, one writer thread per process, one reader connection.

`store` puts the ports together; `connection` opens files, `migrations` shapes them, `writer` commits; `grants`,
`positions`, `directory`, `attempts` and `administration` are one port each.
"""

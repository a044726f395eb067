"""What is wrong, risky or due for a change in an installation: `serve` asks before it starts, `doctor` whenever called.

`finding` is what is found, `installation` looks before there is a database, `registrations` at what is in it. A service
that runs somewhere else is looked at by `jwtauth.cli.probing`.
"""

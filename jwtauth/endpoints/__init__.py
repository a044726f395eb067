"""The story: each endpoint loads facts, asks a rule to decide, commits what it decided, and answers.

Nothing here knows a web framework (`jwtauth.web`) or how anything is stored (`jwtauth.store`); nothing here decides
about the protocol (`jwtauth.protocol`).
"""

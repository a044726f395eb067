"""The law: what a token service must decide, as pure functions over plain records.

Nothing here reads a file, a clock, a socket or a random number: facts come in as arguments, a decision goes out as a
value. `jwtauth.endpoints` gathers the facts and carries the decisions out.
"""

"""What `jwtauth.store.ports` guarantees, for every adapter; where a port says "one", threads race.

A module per port. An adapter's tests subclass each class and give the fixture `memory`: where stores are opened.
"""

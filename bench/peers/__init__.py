"""The same work on the servers that a user would otherwise pick, beside ours and against the same floor.

`python -m bench.peers` installs each peer at the versions pinned here into a folder outside the repository, writes a
`world.json` (key, clients, lifetimes, refresh tokens) next to the smallest honest server of that peer, and asks it what
`bench` asks ours. A peer that cannot be installed or does not start is a row that says why; the others go on.

In this order: `catalogue` (who they are, and what is unequal), `installing` (from the registry into the folder),
`world` (what they know), `launch` (how they start), `work` (what they are asked, and the proof of the answers),
`comparing` (who is measured when), `table` (how it is told). The servers themselves are in `servers/`; type checkers
leave those alone, because what they import is never installed beside this project.
"""

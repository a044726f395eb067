"""The benchmark suite: what the token service does per core, beside a bare server.

`python -m bench` starts the service as its users do (`jwtauth serve`), keeps its connections busy from other cores,
and prints every figure as a ratio to the floor: a bare ASGI application, measured before and after each round.
`python -m bench.scale` says what changes as grants and clients become many. Neither is a test: nothing fails because
it was slow, everything fails that answers other than 2xx or with something that is no token.

A figure is made by, in this order: `folder` (what the service knows), `server` and `floor` (what runs), `wire` (what
is asked), `load` and `generators` (how it is asked), `workloads` (what for), `proof` (whether the answers are real),
`rounds` (against what it is held), `report` (how it is told). What is worth keeping is in `results` (`kept`), from
which `document` and `plot` make the tables and pictures of docs/performance.md. Nothing of `jwtauth` knows of this
package.
"""

# Every task of the project; `just` alone lists them. `just` comes with the development extras.

python := if path_exists(".venv/bin/python") == "true" { ".venv/bin/python" } else { "python3" }

[private]
default:
    @just --list

# The demonstration: demo user, demo clients, commands to paste
dev *arguments:
    {{python}} -m jwtauth dev {{arguments}}

# The service, with the settings of this folder
serve *arguments:
    {{python}} -m jwtauth serve {{arguments}}

# All tests
test *arguments:
    {{python}} -m pytest {{arguments}}

# Faults and fuzzing for an hour or so; the suite does the same for seconds
soak times="100" *what="tests/soak":
    {{python}} -m pytest --soak {{times}} {{what}}

# Style and common mistakes
lint:
    {{python}} -m ruff check .
    {{python}} -m ruff format --check .

# Types, strictly
types:
    {{python}} -m mypy

# Speed as ratios to a bare ASGI server
bench *arguments:
    {{python}} -m bench {{arguments}}

# Growth: up to a million grants and a hundred thousand clients
bench-scale *arguments:
    {{python}} -m bench.scale {{arguments}}

# The figures and pictures of docs/performance.md, written anew from bench/results
bench-document:
    {{python}} -m bench.document

# Whether a worker stays as small as it is over millions of requests
bench-memory *arguments:
    {{python}} -m bench.memory {{arguments}}

# Whether documents and introspection stay quick while passwords and slow uploads flood in
bench-flood *arguments:
    {{python}} -m bench.flood {{arguments}}

# The same work on the servers that one would otherwise pick, each installed into a scratch folder
bench-peers *arguments:
    {{python}} -m bench.peers {{arguments}}

# Publish a successor of the signing key; it signs once every cached JWKS has expired
rotate-keys *arguments:
    {{python}} -m jwtauth keys rotate {{arguments}}

# Check everything, then build the wheel into dist/
release: lint types test
    {{python}} -m pip wheel --no-deps --wheel-dir dist .

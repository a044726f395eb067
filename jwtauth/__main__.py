"""`python -m jwtauth` is the command `jwtauth`."""

from jwtauth.cli import main

main()

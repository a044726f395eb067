"""Users and clients of other systems on their way in: `jwtauth import`.

`rows` reads files, `moved_users` and `moved_clients` say what a row is here, `plans` what a whole file comes to; the
command writes it.
"""

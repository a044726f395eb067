"""What is wrong with a running service, seen from outside as its clients see it: `jwtauth doctor URL`.

`service` is who is asked, and what rules are made with; `examination` begins and calls every rule; `documents` judges
what the service says of itself, `proxy` what one that stands before it makes of that. How anybody is asked is told in
`jwtauth.outside.probe`.
"""

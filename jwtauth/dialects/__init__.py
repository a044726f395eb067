"""The dialects: what older systems called things, one file each, translation only.

`standard` is OAuth 2.x and OpenID Connect as they are written. Every other dialect adds paths of its own and, for
clients of realms that speak it, other parameters, members and error shapes. No rule knows of any: `jwtauth.endpoints`
tells the stories, `jwtauth.web` serves what is declared here.
"""

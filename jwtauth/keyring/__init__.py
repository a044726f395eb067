"""The seal: signing keys and their life, JWK and JWS, server secrets, and all of it at rest in the keys folder.

`jws` alone imports PyJWT. `schedule` says which key signs and which are published; `folder` reads and writes the files,
which `encryption` protects where there is a passphrase; `secrets` derives the keys that seal refresh tokens.
Which token is worth sealing is decided in `jwtauth.protocol`.
"""

"""A resource server installs `jwtauth` and nothing of the server."""

import subprocess
import sys

SERVER_ONLY = ("litestar", "sqlite3", "argon2", "uvicorn", "click", "jinja2", "sqlite_utils")

# None in sys.modules makes an import fail: as on a machine that does not have it. (httpx imports click if it finds it.)
SCRIPT = f"""
import sys
for name in {SERVER_ONLY}:
    sys.modules[name] = None
import jwtauth.verifier as verifier
assert all(hasattr(verifier, name) for name in verifier.__all__)
print(sorted(name for name in sys.modules if name.startswith("jwtauth.")))
"""


class TestVerifier:
    def test_needs_nothing_of_the_server(self) -> None:
        done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        for part in ("store", "web", "endpoints", "cli", "settings", "observe", "passwords"):
            assert f"'jwtauth.{part}" not in done.stdout

"""`python -m bench.peers.launch FOLDER COMMAND...`: become a program of another environment, in its folder.

`bench.server` starts Python modules and pins the process; the process id and the core outlive the change of program.
"""

import os
import sys


def main() -> None:
    """Replace this process."""
    folder, *command = sys.argv[1:]
    os.chdir(folder)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()

"""`python -m wabalake`: runs the program."""

import os
import subprocess
import sys

from wabalake import find_program

if __name__ == "__main__":
    command = [find_program(), *sys.argv[1:]]
    if sys.platform == "win32":
        sys.exit(subprocess.run(command, check=False).returncode)
    os.execv(command[0], command)

"""Runs a command that dies with its parent, as another user if asked: `tether.py SIGNAL UID GID COMMAND...`.

Alone in its file and without imports of ours: it starts in a few milliseconds, and when it runs as
another user it has nothing to read.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Drop to the user, tie to the parent, become the command."""
    parent = os.getppid()
    signal, uid, gid, *command = sys.argv[1:]
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/"}
    else:
        environment = dict(os.environ)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal))
    if os.getppid() != parent:
        sys.exit("the parent of this command ended before it began")
    os.execvpe(command[0], command, environment)  # noqa: S606


main()

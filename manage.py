#!/usr/bin/env python
"""Django's commands for Ferryman."""

import os
import sys

from django.core.management import execute_from_command_line
from django.db import OperationalError

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        sys.exit(f"The database cannot be reached; start it, or `make run`, and try again: {reason}")

"""A forked child goes on, whatever another thread was doing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")

# Leaves by os._exit: 0 if all that is imported on first use is there in the child.
PROGRAM = """
import os, sys
from concutil import retry

retry(OSError)
loaded = {"inspect", "logging", "random"}
child = os.fork()
if child == 0:
    os._exit(len(loaded - set(sys.modules)))
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.slow
def test_nothing_is_imported_for_the_first_time_in_a_child() -> None:
    """A thread that was at it when the process was forked still has the import lock."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=False, timeout=30)
    assert done.returncode == 0

"""Matching steps back; what holds a lock that requests wait for does not."""

import json
import os
import subprocess
import sys

import pytest

ASK = """
import json, os, threading
from api.server.priority import UrgentThreads, step_back

def nice():
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

urgent = UrgentThreads()
before = nice()
step_back(before + 3)
step_back(before + 1)
found = []
thread = threading.Thread(target=lambda: found.append(nice()))
thread.start(); thread.join()
here = nice()
process = os.popen("python3 -c 'import os; print(os.getpriority(os.PRIO_PROCESS, 0))'").read()
print(json.dumps([urgent.run(nice) - before, here - before, found[0] - before,
                  int(process) - before]))
urgent.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know one priority a process")
def test_threads_and_processes_inherit_it_and_those_from_before_do_not() -> None:
    answer = subprocess.run([sys.executable, "-c", ASK], capture_output=True, check=True, text=True)
    urgent, here, thread, process = json.loads(answer.stdout)
    # Nothing is stepped forward again: the second call asks for less than there is.
    assert (urgent, here, thread, process) == (0, 3, 3, 3)


def test_what_fails_there_is_raised_here() -> None:
    from api.server.priority import UrgentThreads

    urgent = UrgentThreads()
    with pytest.raises(ZeroDivisionError):
        urgent.run(lambda: 1 / 0)
    assert urgent.run(os.path.basename, "/a/b") == "b"
    urgent.close()

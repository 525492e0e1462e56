"""Kept machine code is found again, and never when anything that it was made from has changed.

Each test works on a copy of the package with two kernel modules of its own, in new processes, as
an installation would be used.
"""

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "linkage"

INNER = """
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from linkage.compiled import kernel
from linkage.numbers import OFFSET

@intrinsic
def plus(typing_context, value):
    def generate(context, builder, signature, arguments):
        return builder.add(arguments[0], ir.Constant(ir.IntType(64), 10))
    return types.int64(types.int64), generate

@kernel
def shift(value):
    return plus(value) + OFFSET
"""

OUTER = """
from linkage.compiled import kernel
from linkage.inner import shift

@kernel
def shift_twice(value):
    return shift(shift(value))
"""

RUN = """
import logging, sys
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
from linkage.outer import shift_twice
print(shift_twice(1))
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    package = tmp_path / "installed" / "linkage"
    package.mkdir(parents=True)
    for name in ("__init__.py", "compiled.py", "compiled_sources.py"):
        shutil.copy(PACKAGE / name, package / name)
    (package / "numbers.py").write_text("OFFSET = 1\n")
    (package / "inner.py").write_text(INNER)
    (package / "outer.py").write_text(OUTER)
    return package


def environment_of(package: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if "NUMBA" not in name},
        "PYTHONPATH": str(package.parent),
        "HOME": str(package.parents[1] / "home"),
        "XDG_CACHE_HOME": str(package.parents[1] / "user-cache"),
    }


def run(package: Path, code: str = RUN, **environment: str) -> tuple[list[str], str]:
    """What a new process prints, and what it logs.

    The process is a fork of one that has imported numba and nothing of ours: that takes a third of
    the time of a fresh start.
    """
    task = {
        "folder": str(package.parent),
        "code": code,
        "environment": {**environment_of(package), **environment},
    }
    server = start_fork_server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(task) + "\n")
    server.stdin.flush()
    answer = json.loads(server.stdout.readline())
    assert answer["status"] == 0, answer["log"]
    return answer["printed"].split(), answer["log"]


FORK_SERVER = """
import json, os, sys, tempfile, traceback
import numba, numba.core.registry, numba.core.caching
from pathlib import Path

def play(task, printed, log):
    os.dup2(printed.fileno(), 1)
    os.dup2(log.fileno(), 2)
    os.environ.clear()
    os.environ.update(task["environment"])
    numba.core.config.reload_config()
    os.chdir(task["folder"])
    sys.path.insert(0, task["folder"])
    try:
        exec(task["code"], {"__name__": "__main__"})
        sys.stdout.flush()
        return 0
    except BaseException:
        traceback.print_exc()
        return 1

for line in sys.stdin:
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as log:
        child = os.fork()
        if not child:
            os._exit(play(json.loads(line), printed, log))
        status = os.waitpid(child, 0)[1]
        for file in (printed, log):
            file.seek(0)
        texts = {"printed": printed.read().decode(), "log": log.read().decode()}
    print(json.dumps({"status": status, **texts}), flush=True)
"""


@cache
def start_fork_server() -> "subprocess.Popen[str]":
    server = subprocess.Popen(
        [sys.executable, "-c", FORK_SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(stop, server)
    return server


def stop(server: "subprocess.Popen[str]") -> None:
    server.communicate()


def kept(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.bin"))


def in_package(package: Path) -> Path:
    return package / "__pycache__" / "kernels"


def test_the_second_process_compiles_nothing(installed: Path) -> None:
    printed, log = run(installed)
    assert printed == ["23"]
    assert "Compiled linkage.outer.shift_twice in" in log
    assert len(kept(in_package(installed))) == 2
    assert run(installed) == (["23"], "")


@pytest.mark.parametrize(
    ("module", "old", "new", "result"),
    [
        ("numbers.py", "OFFSET = 1", "OFFSET = 2", "25"),
        ("inner.py", "64), 10)", "64), 20)", "43"),
        ("outer.py", "shift(shift(value))", "shift(shift(shift(value)))", "34"),
    ],
    ids=["constant two modules away", "intrinsic in another module", "the kernel itself"],
)
def test_an_edit_is_seen(installed: Path, module: str, old: str, new: str, result: str) -> None:
    run(installed)
    file = installed / module
    before = file.stat()
    file.write_text(file.read_text().replace(old, new))
    # The same time and, in two of the cases, the same size: only the text tells.
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    # Python's own bytecode cache does go by time and size, so it must be out of the way.
    for compiled in installed.glob("__pycache__/*.pyc"):
        compiled.unlink()
    assert run(installed)[0] == [result]


def test_a_constant_that_comes_from_a_data_file_is_seen(installed: Path) -> None:
    numbers = "from pathlib import Path\nOFFSET = int(Path(__file__).with_name('n').read_text())\n"
    (installed / "numbers.py").write_text(numbers)
    (installed / "n").write_text("1")
    assert run(installed)[0] == ["23"]
    (installed / "n").write_text("3")
    assert run(installed)[0] == ["27"]


FACTORY = """
from linkage.compiled import kernel

def make_adder(summand):
    @kernel
    def add(value):
        return value + summand
    return add
"""

CALL_FACTORY = """
import sys
from linkage.factory import make_adder
print(*[make_adder(int(summand))(0) for summand in sys.argv[1:]])
"""


def test_kernels_of_one_factory_are_told_apart(installed: Path) -> None:
    (installed / "factory.py").write_text(FACTORY)
    for summands in (["1", "2"], ["2"], ["3", "1", "2"], ["2", "1", "3"]):
        code = CALL_FACTORY.replace("sys.argv[1:]", repr(summands))
        assert run(installed, code)[0] == summands


def test_code_for_one_processor_is_not_used_on_another(installed: Path) -> None:
    run(installed)
    printed, log = run(installed, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")
    assert printed == ["23"]
    assert "Compiled linkage.outer.shift_twice" in log


def test_a_package_that_cannot_be_written_to_uses_the_users_cache(installed: Path) -> None:
    # A file where the folder should be stands for "not writable": tests may run as root.
    in_package(installed).parent.mkdir()
    in_package(installed).write_text("")
    run(installed)
    assert len(kept(installed.parents[1] / "user-cache")) == 2
    assert run(installed) == (["23"], "")


def test_with_no_folder_at_all_one_line_says_so(installed: Path) -> None:
    in_package(installed).parent.mkdir()
    in_package(installed).write_text("")
    (installed.parents[1] / "user-cache").write_text("")
    printed, log = run(installed)
    assert printed == ["23"]
    assert log.count("No folder for compiled kernels can be written to") == 1


def test_a_folder_that_others_can_write_to_is_not_read(installed: Path) -> None:
    # Machine code from such a folder could be anyone's.
    run(installed)
    in_package(installed).chmod(0o777)
    for file in kept(in_package(installed)):
        file.write_bytes(b"whatever")
    read = "from linkage.compiled import _readable_folders; print(*_readable_folders())"
    assert run(installed, read)[0] == []
    assert run(installed)[0] == ["23"]


def test_torn_and_foreign_files_are_compiled_over(installed: Path) -> None:
    run(installed)
    first, second = kept(in_package(installed))
    first.write_bytes(first.read_bytes()[:-100])
    second.write_bytes(b"")
    printed, log = run(installed)
    assert printed == ["23"]
    assert "Compiled" in log
    assert run(installed) == (["23"], "")


def test_processes_may_start_at_once(installed: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", RUN],
            stdout=subprocess.PIPE,
            cwd=installed.parent,
            env=environment_of(installed),
        )
        for _ in range(2)
    ]
    assert [process.communicate()[0].strip() for process in started] == [b"23"] * 2
    assert len(kept(in_package(installed))) == 2
    assert not list(in_package(installed).glob("*.part"))
    assert run(installed) == (["23"], "")


def test_old_code_is_removed(installed: Path) -> None:
    folder = in_package(installed)
    folder.mkdir(parents=True)
    for number in range(40):
        old = folder / f"linkage.inner.shift-{number:040x}.bin"
        old.write_bytes(b"")
        os.utime(old, (number, number))
    run(installed)
    assert len(kept(folder)) == 32 + 1


def test_numba_is_configured_in_one_place() -> None:
    for file in PACKAGE.rglob("*.py"):
        if file.name not in ("compiled.py", "compiled_sources.py"):
            text = file.read_text(encoding="utf-8")
            assert not re.search(r"\bn?jit\(|@n?jit\b|cache=True", text), file.name

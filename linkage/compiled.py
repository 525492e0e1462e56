"""Compiled kernels: the one place where numba is configured and its machine code is kept.

A kernel is a plain function over arrays and numbers, marked with :func:`kernel`::

    from linkage.compiled import kernel

    @kernel
    def count_equal_tags(tags: U64, other: U64) -> int:
        ...

It is compiled on its first call, releases the GIL (so threads run side by side), does not check
bounds, and divides as NumPy does.  The machine code is kept on disk, so that only the first call
after an installation or an edit waits for the compiler.

**Kept code never goes stale.**  It is found by a hash over everything that it was made from: the
text of the kernel's module and of every module of the project that this one imports, directly or
not; the values that the kernel takes from outside (numba freezes globals and closures); argument
types; versions of Python, numba, llvmlite and NumPy; name and features of the processor.  numba's
own ``cache=True`` looks at the kernel's own file only, and silently reuses old machine code when an
intrinsic or a constant in another module was edited.  Write neither ``cache=True`` nor
``numba.njit`` elsewhere.

What a kernel may use so that this holds: names imported at the top of modules or inside functions
by ``import`` statements (not by ``importlib``), and values in its closure that are numbers,
strings, arrays, tuples, functions or kernels.  A closure with anything else works, but is compiled
anew by every process.

Code is looked for in the package's own folder and in the user's cache folder, and written to the
first of the two that may be written; where neither may be, one line in the log says so.  A folder
that somebody else could have written to is not read: what is read from it is executed.  Processes
may share the folders: files are named by the hash of what they hold and replaced in one step.
"""

import hashlib
import logging
import os
import pickle
import re
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, overload
from uuid import uuid4

import llvmlite
import numba
import numpy as np
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from linkage.compiled_sources import UnknownValueError, digest_of_sources, digest_of_values

_log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_R = TypeVar("_R")

# numba's own way of writing and reading compiled code; it has no type hints.
_PICKLE: Callable[[Any], bytes] = dumps
_REBUILD: Callable[..., Any] = CompileResult._rebuild

_MAGIC = b"tongqiao-kernel-1\n"
_KEPT_PER_KERNEL = 32
_VERSIONS = (
    sys.implementation.cache_tag,
    numba.__version__,
    llvmlite.__version__,
    np.__version__,
)


@overload
def kernel(function: Callable[_P, _R], /) -> Callable[_P, _R]: ...
@overload
def kernel(
    *, inline: bool = False, fastmath: bool = False
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]: ...
def kernel(
    function: Callable[..., Any] | None = None, /, *, inline: bool = False, fastmath: bool = False
) -> Any:
    """Make a function a compiled kernel (see the module's text for what it may use).

    Args:
        function: with type hints for readers; numba compiles for the types it is called with.
        inline: put the body into every kernel that calls it, before types are inferred.  Seldom
            needed: the compiler inlines small kernels by itself.
        fastmath: let the compiler reorder floating-point sums.  Results then differ from one
            processor to another, so never for what is written to a file or shown.
    """

    def decorate(plain: Callable[..., Any]) -> Any:
        _make_name_unique(plain)
        compiled: Any = numba.njit(
            nogil=True,
            boundscheck=False,
            error_model="numpy",
            fastmath=fastmath,
            inline="always" if inline else "never",
        )(plain)
        if hasattr(compiled, "py_func"):  # under NUMBA_DISABLE_JIT it is the plain function
            compiled._cache = _KernelCache(compiled)
        return compiled

    return decorate if function is None else decorate(function)


def cache_folders() -> tuple[Path, ...]:
    """Folders where machine code is looked for; the first that may be written to receives it."""
    folders = [Path(__file__).parent / "__pycache__" / "kernels"]
    with suppress(RuntimeError):  # a service account may have no home
        folders.append(_user_cache_folder() / "tongqiao" / "kernels")
    return tuple(folders)


def _user_cache_folder() -> Path:
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    chosen = os.environ.get("XDG_CACHE_HOME")
    return Path(chosen) if chosen and Path(chosen).is_absolute() else Path.home() / ".cache"


def _make_name_unique(function: Callable[..., Any]) -> None:
    # A symbol's name comes from __qualname__.  Kernels that one factory made would share it, and
    # kept code of one could then be linked where another was meant.
    if function.__closure__:
        with suppress(UnknownValueError, ValueError):  # ValueError: a cell not yet filled
            function.__qualname__ += f"[{digest_of_values(function)[:12]}]"


class _KernelCache(NullCache):
    """What a numba dispatcher asks for kept machine code, and gives new code to."""

    def __init__(self, dispatcher: Any) -> None:
        self._dispatcher = dispatcher
        function = dispatcher.py_func
        self._name = f"{function.__module__}.{function.__qualname__}"
        # Read while the modules are being imported, so that it is the text that runs.
        self._sources = digest_of_sources(function)
        self._started = 0.0

    @property
    def cache_path(self) -> str:
        return str(cache_folders()[0])

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        target_context.refresh()
        self._started = time.perf_counter()
        file_name = self._file_name(sig, target_context.codegen())
        if file_name is None:
            return None
        for folder in _readable_folders():
            payload = _read(folder / file_name)
            if payload is None:
                continue
            try:
                return _REBUILD(target_context, *pickle.loads(payload))  # noqa: S301
            except Exception:
                # Whole, by its hash, and yet unusable: made by a build that calls itself the same.
                _log.warning("Kept machine code of %s cannot be used; compiling.", self._name)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        elapsed = time.perf_counter() - self._started
        _log.info("Compiled %s in %.1f s.", self._name, elapsed)
        file_name = self._file_name(sig, data.codegen)
        if file_name is None or data.lifted or data.library.has_dynamic_globals:
            return
        folder = _writable_folder()
        if folder is not None:
            _write(folder / file_name, _PICKLE(data._reduce()))

    def _file_name(self, sig: Any, codegen: Any) -> str | None:
        if self._sources is None or "0x" in str(sig):  # an address: a function as an argument
            return None
        dispatcher = self._dispatcher
        try:
            values = digest_of_values(dispatcher.py_func)
        except UnknownValueError as error:
            _log.info("Machine code of %s is not kept: %s", self._name, error)
            return None
        options = sorted(dispatcher.targetoptions.items())
        made_from = (_VERSIONS, codegen.magic_tuple(), self._sources, values, options, str(sig))
        key = hashlib.sha256(repr(made_from).encode()).hexdigest()[:40]
        return f"{_file_stem(self._name)}-{key}.bin"


def _file_stem(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "_", name)[-100:]


def _readable_folders() -> Iterator[Path]:
    for folder in cache_folders():
        if folder.is_dir() and _is_ours_alone(folder):
            yield folder


def _is_ours_alone(folder: Path) -> bool:
    """Whether only this user, or whoever can change the program anyway, can write there."""
    if sys.platform == "win32":
        return True  # folders of the profile are private by their access list
    found = folder.stat()
    owners = {os.geteuid(), Path(__file__).stat().st_uid}
    return found.st_uid in owners and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@lru_cache(maxsize=1)
def _writable_folder() -> Path | None:
    for folder in cache_folders():
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o755)
            if not _is_ours_alone(folder):
                folder.chmod(0o755)  # a loose umask; fails if the folder is somebody else's
            with tempfile.TemporaryFile(dir=folder):
                return folder
    _log.warning(
        "No folder for compiled kernels can be written to, so every process compiles them anew. "
        "Make the user's cache folder writable (XDG_CACHE_HOME chooses another)."
    )
    return None


def _read(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, payload = content[len(_MAGIC) :][:32], content[len(_MAGIC) + 32 :]
    if not content.startswith(_MAGIC) or hashlib.sha256(payload).digest() != digest:
        return None  # torn by a crash of the machine; the next save replaces it
    return payload


def _write(path: Path, payload: bytes) -> None:
    part = path.with_suffix(f".{uuid4().hex}.part")
    try:
        try:
            part.write_bytes(_MAGIC + hashlib.sha256(payload).digest() + payload)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        _remove_old(path)
    except OSError as error:
        # A full disk costs time, never the result.
        _log.warning("Compiled kernel not kept: %s.", error.strerror)


def _remove_old(path: Path) -> None:
    stem = path.name.rpartition("-")[0]
    kept = sorted(path.parent.glob(f"{stem}-*.bin"), key=lambda file: -file.stat().st_mtime)
    for old in kept[_KEPT_PER_KERNEL:]:
        old.unlink(missing_ok=True)

"""What a compiled kernel was made from: the text of modules, and the values frozen into it.

Apart from the text of the modules, numba puts values of globals and closures into machine code as
constants.  Most follow from the text; those in a closure, and those read from a data file, do not.
"""

import ast
import dataclasses
import hashlib
import importlib.util
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

_ALWAYS = "linkage"
_PLAIN = bool | int | float | complex | str | bytes | np.generic


class UnknownValueError(Exception):
    """A kernel's closure holds something that cannot be told from another such thing."""


def digest_of_sources(function: Callable[..., Any]) -> str | None:
    """SHA-256 (hex) over the function's module and all modules of the project that it imports.

    The project is the package ``linkage`` and the top-level package of the function's own module.

    Returns:
        ``None`` for a function whose module is no file of a package (a script, a prompt).
    """
    name = function.__module__
    if name == "__main__" or _file_of(name) is None:
        return None
    digest = hashlib.sha256()
    for module in sorted(_modules_behind(name)):
        file = _file_of(module)
        if file is not None:
            digest.update(f"{module}\n".encode() + _text_digest(file))
    return digest.hexdigest()


def digest_of_values(function: Callable[..., Any]) -> str:
    """SHA-256 (hex) over the values that a function takes from globals and its closure.

    Functions, kernels and intrinsics of the project among them are followed in turn.

    Raises:
        UnknownValueError: a value in a closure is of a kind that has no stable form.
    """
    digest = hashlib.sha256()
    for part in _Walk(_roots(function.__module__)).parts(function):
        digest.update(f"{len(part)}:".encode() + part)
    return digest.hexdigest()


def _roots(module: str) -> frozenset[str]:
    return frozenset((_ALWAYS, module.partition(".")[0]))


def _modules_behind(name: str) -> set[str]:
    roots = _roots(name)
    found: set[str] = set()
    waiting = [name]
    while waiting:
        module = waiting.pop()
        file = _file_of(module)
        if module in found or module.partition(".")[0] not in roots or file is None:
            continue
        found.add(module)
        # Importing a.b.c runs the text of a and a.b too.
        waiting.extend(module.rsplit(".", depth)[0] for depth in range(1, module.count(".") + 1))
        waiting.extend(_imported_names(file, module))
    return found


@cache
def _imported_names(file: Path, module: str) -> tuple[str, ...]:
    names: list[str] = []
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(_text(file))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = importlib.util.resolve_name("." * node.level + base, package)
            # ``from a.b import c``: c is a module or a name in one; _file_of tells.
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(names)


@cache
def _file_of(module: str) -> Path | None:
    top, _, rest = module.partition(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, *rest.split(".")) if rest else Path(folder)
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                return file
    return None


# Read once a process, close to the import: an edit while the process runs must not be taken for the
# text that is running.
@cache
def _text(file: Path) -> bytes:
    return file.read_bytes()


@cache
def _text_digest(file: Path) -> bytes:
    return hashlib.sha256(_text(file)).digest()


class _Walk:
    """Goes through a value and, for functions of the project, what they take from outside."""

    def __init__(self, roots: frozenset[str]) -> None:
        self._roots = roots
        self._seen: set[int] = set()

    def parts(self, value: Any) -> Iterator[bytes]:
        yield type(value).__qualname__.encode()
        plain = _plain_function(value)
        if plain is not None:
            yield from self._function(plain)
        elif value is None or isinstance(value, _PLAIN):
            yield repr(value).encode()
        elif isinstance(value, np.ndarray):
            yield f"{value.dtype.str} {value.shape}".encode()
            yield hashlib.sha256(value.tobytes()).digest()
        elif isinstance(value, tuple | list):
            for item in value:
                yield from self.parts(item)
        elif isinstance(value, dict):
            for item in value.items():
                yield from self.parts(item)
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            for field in dataclasses.fields(value):
                yield from self.parts(getattr(value, field.name))
        elif isinstance(value, type | BuiltinFunctionType | np.ufunc | ModuleType | np.dtype):
            yield repr(getattr(value, "__name__", value)).encode()
        else:
            raise UnknownValueError(f"its closure holds a {type(value).__qualname__}.")

    def _function(self, function: FunctionType) -> Iterator[bytes]:
        code = function.__code__
        yield f"{function.__module__}.{function.__qualname__}:{code.co_firstlineno}".encode()
        if function.__module__.partition(".")[0] not in self._roots:
            return  # a library's: its version is part of the key
        yield code.co_code
        if id(function) in self._seen:  # it calls itself
            return
        self._seen.add(id(function))
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            yield name.encode()
            yield from self.parts(cell.cell_contents)
        for name in sorted(set(_names(code)) & function.__globals__.keys()):
            try:
                # Taken as a whole before any of it counts, so that a failure leaves nothing behind.
                found = list(self.parts(function.__globals__[name]))
            except UnknownValueError:
                continue  # made by the module's text, which is covered
            yield name.encode()
            yield from found


def _plain_function(value: Any) -> FunctionType | None:
    """The Python function behind a function, a kernel (``py_func``) or an intrinsic (``_defn``)."""
    for name in ("py_func", "_defn"):
        inner = getattr(value, name, None)
        if isinstance(inner, FunctionType):
            return inner
    return value if isinstance(value, FunctionType) else None


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)

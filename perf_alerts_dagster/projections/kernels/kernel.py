"""Loops over numbers, compiled by numba where it can be imported; numpy does the same without it.

A `Kernel` is written as plain loops and compiled on its first call, into numba's cache on disk, so
that only the first run on a machine compiles; `python -m perf_alerts_dagster.projections` compiles
all of them, as the set-up does. numba is imported with the first kernel that is called, never with
this package. Every kernel has a reference in numpy that gives the same bits, which serves where
there is no compiled code; a test compares them.

numba finds a cached kernel by the file that holds it and by the types of its arguments. So a
kernel is always called with the same types, and takes constants from modules of `projections` and
`statistics` alone: beside its files is a checksum of them and of these modules, and where it
differs they are made anew. numba itself keeps none, and damaged machine code ends the process or
gives wrong numbers. A test watches types and constants.
"""

import hashlib
import importlib
import logging
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

# The modules of kernels that import numba themselves.
VECTORS = "perf_alerts_dagster.projections.kernels.vectors"
LOOPS = "perf_alerts_dagster.projections.kernels.loops"
# Strategies or lives side by side: the single precision numbers of the widest registers.
SIDE_BY_SIDE = 16

# Bytes of a checksum.
_SIZE = 32

_log = logging.getLogger(__name__)


@cache
def _numba() -> Any:  # noqa: ANN401 - a module without types
    """The numba module; None where it is missing, switched off, or does not run here."""
    try:
        numba = importlib.import_module("numba")
    # The latter where its own library cannot be loaded.
    except (ImportError, OSError) as exc:
        _log.info("simulations are not compiled, which is slower: %s", exc)
        return None
    # Where NUMBA_DISABLE_JIT is set, kernels would run as loops of Python.
    return None if numba.config.DISABLE_JIT else numba


@cache
def _sources() -> bytes:
    """The checksum of all source files that a kernel may take a constant from."""
    total = hashlib.sha256()
    rooms = Path(__file__).parents[2]
    for room in ("projections", "statistics"):
        for file in sorted((rooms / room).rglob("*.py")):
            total.update(file.read_bytes())
    return total.digest()


@cache
def _warn(text: str) -> None:
    """Warn once in a process: what befalls one kernel befalls all."""
    _log.warning(text)


class Kernel:
    """Loops that are compiled on the first call; they write into arrays that the caller owns.

    Bits depend on neither the machine nor the number of paths at once: no fast-math, no sum
    across paths.
    """

    all: ClassVar[list["Kernel"]] = []

    def __init__(self, loops: Callable[..., None] | str) -> None:
        """`loops` may be `module:function`, where the module itself imports numba."""
        self.all.append(self)
        self._loops = loops
        self._compiled: Any = None
        self._is_numpy = False

    @property
    def loops(self) -> Callable[..., None]:
        """The loops, as a function of Python."""
        if not isinstance(self._loops, str):
            return self._loops
        module, _, name = self._loops.partition(":")
        loops: Callable[..., None] = getattr(importlib.import_module(module), name)
        return loops

    @property
    def signatures(self) -> int:
        """Types of arguments that it has been compiled or loaded for."""
        return 0 if self._compiled is None else len(self._compiled.signatures)

    @property
    def is_new(self) -> bool:
        """Whether this process compiled it, and did not load it."""
        return self._compiled is not None and not self._compiled.stats.cache_hits

    def run(self, *arguments: Any) -> bool:  # noqa: ANN401 - arrays and numbers
        """Run the compiled loops; False, and nothing done, where there is no compiled code."""
        if self._compiled is None and not self._is_numpy:
            self._compiled = self._load(arguments)
            self._is_numpy = self._compiled is None
        if self._compiled is not None:
            self._compiled(*arguments)
        return not self._is_numpy

    def _load(self, arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401 - a dispatcher
        """The compiled loops, from the cache where it has them; None without a compiler."""
        numba = _numba()
        if numba is None:
            return None
        # Numbers are divided as numpy divides them: a division by zero raises nothing.
        try:
            compiled = numba.njit(cache=True, error_model="numpy")(self.loops)
        except RuntimeError:
            _warn(
                "simulations are not compiled, which is slower: "
                f"NUMBA_CACHE_DIR={numba.config.CACHE_DIR!r} names no folder that can be written"
            )
            return None
        folder = Path(compiled.stats.cache_path)
        types = tuple(numba.typeof(argument) for argument in arguments)
        try:
            stored, found = self._stored(folder), self._sum(folder)
            if stored != found:
                is_other_version = stored and found and stored[:_SIZE] != found[:_SIZE]
                if not is_other_version:
                    _warn(f"compiled simulations in {folder} are incomplete or damaged: made anew")
                compiled.recompile()
            # Without a call: what fails here has not yet written into the arguments.
            compiled.compile(types)
            if self._stored(folder) != self._sum(folder):
                self._sum_file(folder).write_bytes(self._sum(folder))
        except OSError as exc:
            _warn(f"compiled simulations cannot be kept in {folder}: {exc.strerror or exc}")
            if not compiled.signatures:
                compiled = numba.njit(error_model="numpy")(self.loops)
        return compiled

    def _stored(self, folder: Path) -> bytes:
        """The checksums when the kernel was compiled; empty where it was not."""
        file = self._sum_file(folder)
        return file.read_bytes() if file.exists() else b""

    def _sum(self, folder: Path) -> bytes:
        """Those of the sources and of the kernel's files; empty where there are no files."""
        files = sorted(folder.glob(f"{self._stem}*.nb[ci]"))
        total = hashlib.sha256()
        for file in files:
            total.update(file.read_bytes())
        return _sources() + total.digest() if files else b""

    def _sum_file(self, folder: Path) -> Path:
        return folder / f"{self._stem}.sha256"

    @property
    def _stem(self) -> str:
        """What the names of the kernel's files begin with, as numba makes them."""
        code = self.loops.__code__
        python = f"py{sys.version_info[0]}{sys.version_info[1]}"
        return f"{Path(code.co_filename).stem}.{code.co_name}-{code.co_firstlineno}.{python}"

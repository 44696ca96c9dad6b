"""Loops over numbers, compiled by numba where it can be imported; numpy does the same without it.

A `Kernel` is written as plain loops and compiled on its first call, into numba's cache on disk, so
that only the first run on a machine compiles; `python -m perf_alerts_dagster.projections` compiles
all of them, as the set-up does. numba is imported with the first kernel that is called, never with
this package. Every kernel has a reference in numpy that gives the same bits, which serves where
there is no compiled code; a test compares them.

numba finds a cached kernel by the file that holds it and by the types of its arguments. So a
kernel uses no constant and no function of another module, and is always called with the same
types; tests watch both.
"""

import importlib
import logging
import pickle
from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

_log = logging.getLogger(__name__)
# Raised where a file of the cache is damaged, or cannot be written. numba keeps no checksum.
_CACHE_ERRORS = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    LookupError,
    AttributeError,
    pickle.UnpicklingError,
)


@cache
def _numba() -> Any:  # noqa: ANN401 - a module without types
    """The numba module; None where it is missing or does not run with this numpy."""
    try:
        return importlib.import_module("numba")
    except ImportError as exc:
        _log.info("simulations are not compiled, which is slower: %s", exc)
        return None


class Kernel:
    """Loops that are compiled on the first call; they write into arrays that the caller owns.

    Bits depend on neither the machine nor the number of paths at once: no fast-math, no sum
    across paths.
    """

    all: ClassVar[list["Kernel"]] = []

    def __init__(self, loops: Callable[..., None]) -> None:
        self.all.append(self)
        self.loops = loops
        self._compiled: Any = None
        self._is_numpy = False

    @property
    def is_compiled(self) -> bool:
        """Whether it has been called and compiled."""
        return self._compiled is not None

    def run(self, *arguments: Any) -> bool:  # noqa: ANN401 - arrays and numbers
        """Run the compiled loops; False, and nothing done, where there is no compiled code."""
        if self._compiled is not None:
            self._compiled(*arguments)
        elif not self._is_numpy:
            self._compiled = self._first_call(arguments)
            self._is_numpy = self._compiled is None
        return self._compiled is not None

    def _first_call(self, arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401 - a dispatcher
        """The compiled loops after their first call; None where nothing can be compiled."""
        numba = _numba()
        if numba is None:
            return None
        try:
            # Numbers are divided as numpy divides them: a division by zero raises nothing.
            compiled = numba.njit(cache=True, error_model="numpy")(self.loops)
        except RuntimeError as exc:
            # To compile in every process would take longer than numpy.
            _log.warning(
                "simulations are not compiled, which is slower: NUMBA_CACHE_DIR names no folder "
                "that can be written: %s",
                exc,
            )
            return None
        try:
            compiled(*arguments)
        except _CACHE_ERRORS as exc:
            _log.warning("compiling %s anew: numba's cache: %r", self.loops.__name__, exc)
            try:
                compiled.recompile()
            except OSError:
                compiled = numba.njit(error_model="numpy")(self.loops)
            compiled(*arguments)
        return compiled

"""The clock and the disk of a stack, which a test sets; see `shim.c`."""

import shutil
import subprocess
from pathlib import Path


class Shim:
    """A library preloaded into the processes of a stack, by the variables `environ`."""

    def __init__(self, library: Path) -> None:
        self._file = library.with_suffix("")
        self.set()
        self.environ = {"LD_PRELOAD": str(library), "SHIM_FILE": str(self._file)}

    @classmethod
    def compiled(cls, folder: Path) -> "Shim | None":
        """One that is built in `folder`; None without a C compiler."""
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            return None
        library, source = folder / "shim.so", Path(__file__).with_name("shim.c")
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
        subprocess.run(command, check=True)
        return cls(library)

    def set(self, *, offset: float = 0.0, delay: float = 0.0) -> None:
        """Set the wall clock off by `offset` s, and let each flush to the disk take `delay` s."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{offset} {delay}\n")
        fresh.replace(self._file)

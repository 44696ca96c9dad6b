"""Compiled kernels against numpy's bits, and against whatever befalls the compiler or its cache."""

import ast
import builtins
import inspect
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from perf_alerts_dagster.projections import simulation, walk, watchers
from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.calibration import LIFE, calibrate
from perf_alerts_dagster.projections.kernels.kernel import Kernel
from perf_alerts_dagster.projections.kernels.watching import LANES
from perf_alerts_dagster.projections.lives import Change, draw_lives, life_of, returns_of
from perf_alerts_dagster.projections.simulation import Filtered, draw, filtered, measure
from perf_alerts_dagster.projections.walk import Walk, badness_of, days_of
from perf_alerts_dagster.projections.watchers import UNHEDGED, WATCHERS, Known
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import Floats32
from perf_alerts_tests.projections.hard import decay_of, life_in
from perf_alerts_tests.projections.honest import WEIGHTS, known, student

ROOT = Path(__file__).parents[2]
# All that is simulated for one strategy, by every kernel.
WORK = """
import hashlib
import numpy as np
from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.calibration import LIFE, calibrate
from perf_alerts_dagster.projections.lives import draw_lives, life_of
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.walk import Walk
from perf_alerts_dagster.projections.watchers import Known
from perf_alerts_dagster.statistics.decay import decay_reference
from perf_alerts_dagster.statistics.ewma_volatility import filter_returns

def work():
    window = np.random.default_rng(1).standard_t(4, 300) * 0.007 + 0.0003
    residuals = filter_returns(window)
    (band,) = fans([residuals], draw(1, 300, 252), 252)
    decay = decay_reference(np.log1p(window))
    life = life_of(window, residuals, decay)
    known = Known(residuals=residuals, band=band, decay=decay)
    draws = draw_lives(1, 300, LIFE)
    passages = Walk(draws).first_passages(life, known, {"decay_cusum": 200.0})
    (rated,) = calibrate([life], [known], draws,
                         weights=[{"drawdown": (0.01, 0.002), "decay_cusum": (0.05, 0.01)}],
                         documented=[{}])
    total = hashlib.sha256()
    for values in (band.pointwise, band.sup_below, band.sup_both, band.drawdowns,
                   *rated.worst.values(), *rated.factors.values(), *passages.values()):
        total.update(values.tobytes())
    return total.hexdigest()
"""
# numba as it is where the installed numpy is not one that it runs with.
WRONG_NUMPY = 'raise ImportError("Numba needs NumPy 2.5 or less. Got NumPy 2.9.")'


@contextmanager
def by_numpy() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kernel, "run", lambda *_: False)
        yield


def launch(cache: Path, *command: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *(command or ("-c", f"{WORK}\nprint(work())"))],
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)} | environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(child: subprocess.Popen[str]) -> tuple[str, list[str]]:
    """What a child wrote to standard output, and the lines that it logged."""
    out, errors = child.communicate(timeout=240)
    assert child.returncode == 0, errors
    return out.strip(), errors.splitlines()


def compile_all(cache: Path) -> str:
    """The line of the set-up."""
    line, errors = finish(launch(cache, "-m", "perf_alerts_dagster.projections"))
    assert errors == []
    return line


@pytest.fixture(scope="module")
def expected() -> str:
    """The checksum of numpy's numbers."""
    space: dict[str, Callable[[], str]] = {}
    exec(WORK, space)
    with by_numpy():
        return space["work"]()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache as the set-up makes it."""
    folder = tmp_path_factory.mktemp("compiled")
    count = len(Kernel.all)
    line = compile_all(folder)
    assert line.startswith(f"{count} of {count} simulation kernels are compiled, {count} of them")
    return folder


@pytest.fixture
def cache(compiled: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return shutil.copytree(compiled, tmp_path / "cache")


def file_of(cache: Path, kernel: str, ending: str) -> Path:
    (found,) = cache.glob(f"*/*.{kernel}-*{ending}")
    return found


def test_the_set_up_compiles_every_kernel_and_a_second_one_none(
    compiled: Path, expected: str
) -> None:
    count = len(Kernel.all)
    assert compile_all(compiled).startswith(
        f"{count} of {count} simulation kernels are compiled, 0 of them now"
    )
    assert finish(launch(compiled)) == (expected, [])


@pytest.mark.parametrize("module", ["", WRONG_NUMPY])
def test_without_a_numba_that_runs_numpy_gives_the_same_numbers(
    tmp_path: Path, expected: str, module: str
) -> None:
    missing = "import sys\nsys.modules['numba'] = None\n"
    if module:
        (tmp_path / "numba.py").write_text(module)
    program = f"{'' if module else missing}{WORK}\nprint(work())"
    path = f"{tmp_path}{os.pathsep}{ROOT}"

    assert finish(launch(tmp_path, "-c", program, PYTHONPATH=path)) == (expected, [])


def test_where_numba_is_switched_off_numpy_gives_the_same_numbers(
    tmp_path: Path, expected: str
) -> None:
    assert finish(launch(tmp_path, NUMBA_DISABLE_JIT="1")) == (expected, [])


def test_without_a_folder_for_the_code_numpy_does_the_work_and_one_line_says_so(
    tmp_path: Path, expected: str
) -> None:
    (tmp_path / "file").touch()
    # Else numba would go on to the source folder, which can be written here.
    only = {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator"}

    found, (line,) = finish(launch(tmp_path / "file", **only))

    assert found == expected
    assert line == (
        "simulations are not compiled, which is slower: "
        f"NUMBA_CACHE_DIR='{tmp_path / 'file'}' names no folder that can be written"
    )


def truncate(code: bytes) -> bytes:
    return code[: len(code) // 2]


def lose_a_page(code: bytes) -> bytes:
    """As after a power failure; unseen, such machine code ends the process by a signal."""
    middle = len(code) // 2
    return code[:middle] + bytes(4096) + code[middle + 4096 :]


def flip_a_bit(code: bytes) -> bytes:
    middle = len(code) // 2
    return code[:middle] + bytes([code[middle] ^ 1]) + code[middle + 1 :]


def garble(code: bytes) -> bytes:
    return bytes(reversed(code))


def empty(code: bytes) -> bytes:
    return b""


LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("ending", "damage"),
    [
        (".nbc", lose_a_page),
        *(
            pytest.param(ending, damage, marks=LONG)
            for ending, damage in [
                *((".nbi", each) for each in (empty, truncate, garble, flip_a_bit)),
                *((".nbc", each) for each in (empty, truncate, garble, flip_a_bit)),
                *((".sha256", each) for each in (empty, truncate)),
            ]
        ),
    ],
)
def test_damaged_code_is_compiled_anew_and_kept(
    cache: Path, expected: str, ending: str, damage: Callable[[bytes], bytes]
) -> None:
    for kernel in ("measure", "band"):
        file = file_of(cache, kernel, ending)
        file.write_bytes(damage(file.read_bytes()))

    found, (line,) = finish(launch(cache))

    assert found == expected
    assert line.endswith("are incomplete or damaged: made anew")
    assert finish(launch(cache)) == (expected, [])


def test_code_of_another_version_is_compiled_anew_without_a_word(
    cache: Path, expected: str
) -> None:
    """The constants of a kernel may be of another file than numba looks at."""
    for file in cache.glob("*/*.sha256"):
        file.write_bytes(bytes(32) + file.read_bytes()[32:])
    before = {file: file.stat().st_mtime_ns for file in cache.glob("*/*.nbi")}

    assert finish(launch(cache)) == (expected, [])
    assert all(file.stat().st_mtime_ns > when for file, when in before.items())


@LONG
def test_files_of_the_cache_that_are_folders_do_not_stop_the_work(
    cache: Path, expected: str
) -> None:
    for kernel, ending in (("measure", ".nbi"), ("band", ".nbc"), ("decay", ".sha256")):
        file = file_of(cache, kernel, ending)
        file.unlink()
        file.mkdir()

    found, (line,) = finish(launch(cache))

    assert found == expected
    assert "cannot be kept in" in line
    assert line.endswith("Is a directory")


@LONG
def test_deleted_code_is_compiled_anew(cache: Path, expected: str) -> None:
    file_of(cache, "measure", ".nbc").unlink()

    assert finish(launch(cache))[0] == expected
    assert finish(launch(cache)) == (expected, [])


@contextmanager
def full_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A file system of its own, to be filled."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount on this machine")
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> None:
    with (folder / "filler").open("ab") as file:
        file.write(bytes(shutil.disk_usage(folder).free))
    assert shutil.disk_usage(folder).free == 0


def test_on_a_full_disk_code_is_loaded_or_compiled_for_the_run(
    compiled: Path, tmp_path: Path, expected: str
) -> None:
    with full_disk(tmp_path / "disk", 2048) as disk:
        cache = shutil.copytree(compiled, disk / "cache")
        fill(disk)
        assert finish(launch(cache)) == (expected, [])

        file_of(cache, "measure", ".nbc").unlink()
        fill(disk)
        found, lines = finish(launch(cache))

    assert found == expected
    assert lines[-1].endswith("No space left on device")
    assert len(lines) <= 2


@LONG
def test_processes_that_compile_at_once_do_not_harm_each_other(
    tmp_path: Path, expected: str
) -> None:
    children = [launch(tmp_path) for _ in range(4)]

    assert {finish(child)[0] for child in children} == {expected}
    finish(launch(tmp_path))
    assert finish(launch(tmp_path)) == (expected, [])


@LONG
@pytest.mark.parametrize("files", [1, 2, 3, 8, 20])
def test_a_process_killed_while_it_compiles_leaves_nothing_that_harms(
    tmp_path: Path, expected: str, files: int
) -> None:
    child = launch(tmp_path)
    while child.poll() is None and len(list(tmp_path.glob("*/*"))) < files:
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL

    assert finish(launch(tmp_path))[0] == expected
    assert finish(launch(tmp_path)) == (expected, [])


def assigned(module: ast.Module) -> dict[str, ast.expr]:
    """The values of a module's own constants."""
    found: dict[str, ast.expr] = {}
    for node in module.body:
        if isinstance(node, ast.Assign):
            found |= {name.id: node.value for name in node.targets if isinstance(name, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = node.value
    return found


def is_intrinsic(value: object) -> bool:
    """Whether it is an operation on vectors, of the kernel's own module."""
    return type(value).__name__ == "_Intrinsic"


def names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


@pytest.mark.parametrize("kernel", Kernel.all, ids=range(len(Kernel.all)))
def test_a_kernel_depends_on_numbers_of_the_simulations_alone(kernel: Kernel) -> None:
    module = ast.parse(Path(inspect.getfile(kernel.loops)).read_text("utf-8"))
    constants = assigned(module)
    imported = {
        alias.name
        for node in module.body
        if isinstance(node, ast.ImportFrom)
        and str(node.module).startswith("perf_alerts_dagster.projections.")
        for alias in node.names
    }
    (function,) = (
        node
        for node in module.body
        if isinstance(node, ast.FunctionDef) and node.name == kernel.loops.__name__
    )
    inside = {each.arg for each in function.args.args}
    inside |= {
        each.id
        for each in ast.walk(function)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }
    left = set().union(*(names(statement) for statement in function.body)) - inside
    followed: set[str] = set()
    while left:
        name = left.pop()
        followed.add(name)
        value = kernel.loops.__globals__.get(name)
        if name == "np" or hasattr(builtins, name) or is_intrinsic(value):
            continue
        assert all(
            isinstance(each, int | float | np.number)
            for each in (value if isinstance(value, tuple) else (value,))
        ), name
        if name in imported:
            continue
        assert name in constants, f"{name} is of a module that no checksum covers"
        left |= names(constants[name]) - followed


def windows(count: int, rows: int = 756) -> list[Floats]:
    return [student(rows, np.random.default_rng(place)) for place in range(count)]


def test_every_call_of_the_product_has_the_same_types(tmp_path: Path) -> None:
    for strategies, paths, horizon in ((1, 1, 1), (3, 255, 63), (17, 1_200, 252), (4, 257, 300)):
        residuals = [known(window) for window in windows(strategies, 100 + 50 * strategies)]
        bands = fans(residuals, draw(1, paths, max(horizon, 252)), horizon)
        assert len(bands) == strategies
    window = windows(1)[0]
    window.setflags(write=False)
    residual = known(window)
    (band,) = fans([residual], draw(1, 300, 252), 252)
    decay = decay_of(window)
    one = Known(residuals=residual, band=band, decay=decay)
    life = life_of(window, residual, decay)
    for lives in (1, 255, 256, 257, 2_000):
        draws = draw_lives(1, lives, LIFE)
        calibrate([life] * 2, [one] * 2, draws, weights=[WEIGHTS] * 2, documented=[{}] * 2)
        change = Change(day=63, lost_mean=1.0, stretch=1.5)
        Walk(draws).yearly_worst(life, one, rules=["drawdown"], years=1, change=change)
    Walk(draw_lives(1, 3, days_of(years=4))).yearly_worst(life, one, years=4)
    for rows in (1, 64, 600):
        badness_of(np.full((rows, 2), 0.001).T[::-1].T, one)
    weekly = replace(one, year=52)
    of_weeks = Walk(draw_lives(1, 300, days_of()))
    of_weeks.yearly_worst(life, weekly)
    for each in (one, weekly):
        of_weeks.first_passages(life, each, dict.fromkeys(UNHEDGED, 1.0))

    assert {kernel.loops.__name__: kernel.signatures for kernel in Kernel.all} == {
        kernel.loops.__name__: 1 for kernel in Kernel.all
    }


# Days of a million numbers.
DAYS = 1_000_000 // LANES + 1


def hard(*shape: int, seed: int = 1, largest: float = 1.0) -> Floats32:
    """Numbers of every size from the smallest to `largest`, of either sign, and zeros."""
    rng = np.random.default_rng(seed)
    found = np.exp(rng.uniform(np.log(1e-40), np.log(largest), shape))
    signed = found * rng.choice([-1.0, 0.0, 1.0], shape, p=[0.45, 0.1, 0.45])
    # Most of ordinary size, so that each is rounded by the next.
    ordinary = rng.standard_t(3, shape) * 0.01
    return np.where(rng.random(shape) < 0.5, ordinary, signed).astype(np.float32)


@pytest.mark.parametrize("watcher", WATCHERS, ids=lambda watcher: watcher.rules[0])
def test_a_watcher_gives_the_bits_of_numpy_on_a_million_hard_numbers(
    watcher: watchers.Watcher,
) -> None:
    residual = known(windows(1)[0])
    (band,) = fans([residual], draw(1, 300, 252), 252)
    decay = decay_of(windows(1)[0])
    inputs = watcher.inputs(Known(residuals=residual, band=band, decay=decay))
    if watcher.sized:
        inputs = (*inputs, np.linspace(0.2, 5.0, LANES, dtype=np.float32))
    if watcher.rules == ("interval_breach",):
        inputs = tuple(np.resize(each, DAYS) for each in inputs)
    compiled, plain = np.empty((2, watcher.outputs, DAYS, LANES), dtype=np.float32)

    watcher.watch(hard(DAYS, LANES), inputs, compiled)
    with by_numpy():
        watcher.watch(hard(DAYS, LANES), inputs, plain)

    assert_same_bits([compiled], [plain])
    worst = np.zeros((2, watcher.outputs, 16, LANES + 5), dtype=np.float32)
    for year in (252, 52):
        lived = hard(watcher.starts + 16 * year, LANES)
        watcher.worst(lived, inputs, year, 5, worst[0])
        with by_numpy():
            watcher.worst(lived, inputs, year, 5, worst[1])
        assert_same_bits([worst[0]], [worst[1]])


def assert_same_bits(compiled: Sequence[Floats32], plain: Sequence[Floats32]) -> None:
    for one, other in zip(compiled, plain, strict=True):
        # -inf is where nothing is looked at.
        watched = one[~np.isneginf(one)]
        assert np.isfinite(watched).sum() > 0.9 * watched.size or one.size < 1_000
        differ = np.flatnonzero(one.view(np.uint32) != other.view(np.uint32))
        assert not len(differ), (len(differ), one.flat[differ[0]], other.flat[differ[0]])


def test_the_simulation_gives_the_bits_of_numpy_on_a_million_hard_numbers() -> None:
    strategies = filtered([known(window) for window in windows(5)])
    wild = Filtered(
        # Scaled down, or the variance would grow without a limit.
        residuals=np.concatenate([strategies.residuals[:4], hard(1, 756) * np.float32(0.05)]),
        fresh=strategies.fresh,
        variance=strategies.variance,
        mean=strategies.mean,
        error=strategies.error,
    )
    draws = draw(1, 1_000, 252)
    shape = hard(2, 5, 252, seed=2)

    def numbers() -> list[Floats32]:
        found = measure(wild, draws, (1, 5, 63, 252), shape[0], shape[1])
        each = (found.total, found.below, found.above, found.deepest)
        return [*each]

    compiled = numbers()
    with by_numpy():
        plain = numbers()

    assert_same_bits(compiled, plain)


def test_lives_and_their_first_passages_have_the_bits_of_numpy() -> None:
    window = hard(900, largest=0.5).astype(np.float64).clip(-0.9, None)
    life, draws = life_in(window), draw_lives(1, 4_000, 252)
    badness = hard(3 * 252, 2_000, largest=1e30)

    def numbers() -> list[Floats32]:
        returns = np.empty((252, 4_000), dtype=np.float32)
        returns_of(life, draws, Change(day=100, lost_mean=1.0, stretch=1.5), returns)
        # The rule's value is watched from the first day.
        return [returns, walk._passages(badness, 0, np.full((1, 252), 0.02, np.float32))]

    compiled = numbers()
    with by_numpy():
        plain = numbers()

    assert_same_bits(compiled, plain)


def test_an_error_of_the_loops_themselves_is_raised() -> None:
    registered = list(Kernel.all)

    def loops(values: Floats32) -> None:
        values[0] = simulation.nothing  # type: ignore[attr-defined]

    try:
        with pytest.raises(Exception, match="nothing"):
            Kernel(loops).run(np.zeros(1, dtype=np.float32))
    finally:
        Kernel.all[:] = registered

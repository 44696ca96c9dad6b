"""Arrays in one blob, bit for bit."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from perf_alerts_dagster.storage.types import pack, unpack


@given(
    st.dictionaries(
        st.sampled_from(["band", "path", "file", "quantiles"]),
        npst.arrays(np.float64, npst.array_shapes(min_dims=0, max_dims=3, min_side=0)),
    )
)
def test_any_array_comes_back_bit_for_bit(arrays: dict[str, np.ndarray]) -> None:
    found = unpack(pack(arrays))

    assert list(found) == list(arrays)
    for name, values in arrays.items():
        assert found[name].shape == values.shape
        assert found[name].dtype == values.dtype
        assert found[name].tobytes() == values.tobytes()


def test_the_same_arrays_give_the_same_bytes() -> None:
    arrays = {"band": np.linspace(0, 1, 500)}

    assert pack(arrays) == pack(arrays)


def test_numpy_reads_the_archive() -> None:
    with np.load(io.BytesIO(pack({"band": np.arange(3.0)}))) as found:
        assert found["band"].tolist() == [0.0, 1.0, 2.0]


def test_repetitive_arrays_are_compressed() -> None:
    assert len(pack({"flat": np.zeros(10_000)})) < 2_000


def test_objects_are_refused() -> None:
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        pack({"odd": np.array([{}], dtype=object)})


@pytest.mark.parametrize("content", [b"", b"PK", pack({"band": np.arange(9.0)})[:-30]])
def test_damaged_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        unpack(content)

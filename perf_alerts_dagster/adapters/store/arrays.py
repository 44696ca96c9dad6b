"""Arrays by name as one compressed .npz, bit by bit what they were."""

import io
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

# Time stamps in the archive would make the same arrays different bytes.
_STAMP = (1980, 1, 1, 0, 0, 0)


def pack(arrays: Mapping[str, NDArray[np.float64]]) -> bytes:
    """The archive; the same arrays give the same bytes. `numpy.load` reads it as well.

    Raises:
        ValueError: an array holds Python objects.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(values), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", _STAMP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, member.getvalue())
    return target.getvalue()


def unpack(content: bytes) -> dict[str, NDArray[np.float64]]:
    """The arrays of an archive by name, in their order.

    Raises:
        ValueError: the bytes are damaged; every member carries a checksum.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {
                name.removesuffix(".npy"): np.lib.format.read_array(
                    io.BytesIO(archive.read(name)), allow_pickle=False
                )
                for name in archive.namelist()
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as exc:
        raise ValueError(f"its arrays cannot be read: {exc}") from exc

"""What files of frames hold: NetCDF, NumPy arrays and pictures as one array (T, Y, X, D) with its stamps."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from forecasting.config.source import FramesSource
from forecasting.errors import SourceError

if TYPE_CHECKING:
    from xarray import DataArray

__all__ = ["Frames", "read_frames"]

_NETCDF = (".nc", ".nc4", ".h5")
_ARRAYS = (".npz", ".npy")
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif")
_SHOWN = 10  # files in a message


class Frames(NamedTuple):
    """Values (T, Y, X, D), the names of their D channels, and what files say of time and place.

    `stamps` is none where a file has no time; `places` holds numbers (Y, X) of each cell, such as its latitude.
    """

    values: np.ndarray
    channels: tuple[str, ...]
    stamps: np.ndarray | None
    places: dict[str, np.ndarray]


def read_frames(paths: Sequence[Path], source: FramesSource) -> Frames:
    """All files, one after the other; raise SourceError for unknown formats, unreadable files, unequal frames."""
    kinds = {suffix for path in paths if (suffix := path.suffix.lower()) not in (*_NETCDF, *_ARRAYS, *_PICTURES)}
    if kinds:
        known = ", ".join((*_NETCDF, *_ARRAYS, *_PICTURES))
        raise SourceError(f"files ending in {', '.join(sorted(kinds))} hold no frames; known endings: {known}")
    parts = [_one(path, source) for path in paths]
    _check_equal(paths, parts)
    stamps = [part.stamps for part in parts if part.stamps is not None]
    return Frames(
        np.concatenate([part.values for part in parts]),
        parts[0].channels,
        np.concatenate(stamps) if stamps else None,
        parts[0].places,
    )


def _one(path: Path, source: FramesSource) -> Frames:
    suffix = path.suffix.lower()
    try:
        if suffix in _NETCDF:
            return _netcdf(path, source)
        return _picture(path, source) if suffix in _PICTURES else _array(path, source)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SourceError(f"cannot read {path}: {error}") from error


def _netcdf(path: Path, source: FramesSource) -> Frames:
    import xarray as xr

    with xr.open_dataset(path) as data:
        names = _chosen(source.variable, [str(name) for name in data if data[name].ndim >= 3], str(path))
        arrays = [_thin(data[name], source.time) for name in names]
        for name, array in zip(names, arrays, strict=True):
            if array.ndim != 3 or array.dims[0] != source.time or source.time not in array.coords:
                raise SourceError(
                    f"{path}: {name} has the dimensions {', '.join(map(str, data[name].dims))}; expected"
                    f" {source.time} (with its coordinate), rows and columns; source.time names the first"
                )
        stamps = arrays[0][source.time].to_numpy()
        if stamps.dtype.kind != "M":
            raise SourceError(f"{path}: {source.time} is no date of the common calendar, but {stamps.dtype}")
        values = np.stack([array.to_numpy().astype(np.float64) for array in arrays], axis=-1)
        return Frames(values, tuple(names), stamps.astype("datetime64[us]"), _places(arrays[0]))


def _thin(array: DataArray, time: str) -> DataArray:
    """Without dimensions of a single step, such as a depth, between time and the last two."""
    return array.squeeze([name for name in array.dims[:-2] if name != time and array.sizes[name] == 1])


def _places(array: DataArray) -> dict[str, np.ndarray]:
    """The coordinates of rows and columns that are numbers, each as (Y, X)."""
    _, row, column = array.dims
    found = {str(name): array[name] for name in (row, column) if name in array.coords}
    shape = array.shape[1:]
    return {
        name: np.broadcast_to(values.to_numpy()[:, None] if values.dims == (row,) else values.to_numpy(), shape)
        for name, values in found.items()
        if values.dtype.kind in "fiu"
    }


def _array(path: Path, source: FramesSource) -> Frames:
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        arrays, names = [loaded], ["frames"]
    else:
        with loaded as file:
            names = _chosen(source.variable, [name for name in file.files if file[name].ndim in (3, 4)], str(path))
            arrays = [file[name] for name in names]
    if any(array.ndim not in (3, 4) or array.shape[:3] != arrays[0].shape[:3] for array in arrays):
        shapes = ", ".join(f"{name} {array.shape}" for name, array in zip(names, arrays, strict=True))
        raise SourceError(f"{path} holds {shapes}; expected arrays of one size (time, rows, columns[, channels])")
    values = np.concatenate([array.reshape(*array.shape[:3], -1) for array in arrays], axis=-1).astype(np.float64)
    channels = tuple(names) if len(names) == values.shape[-1] else _numbered(values.shape[-1])
    return Frames(values, channels, None, {})


def _picture(path: Path, source: FramesSource) -> Frames:
    from PIL import Image

    with Image.open(path) as picture:
        values = np.asarray(picture.convert("L" if source.colour == "gray" else "RGB"), dtype=np.float64) / 255
    values = values.reshape(1, *values.shape[:2], -1)
    return Frames(values, ("red", "green", "blue") if values.shape[-1] == 3 else ("gray",), None, {})


def _chosen(wanted: str | tuple[str, ...] | None, present: list[str], file: str) -> list[str]:
    """The names of the variables to read; raises SourceError that lists what there is."""
    names = [wanted] if isinstance(wanted, str) else list(wanted or present)
    missing = [name for name in names if name not in present]
    if missing or not names:
        raise SourceError(
            f"{file} has no frames called {', '.join(missing) or 'anything'}; its variables of three dimensions or"
            f" more: {', '.join(present) or 'none'}"
        )
    if wanted is None and len(present) > 1:
        raise SourceError(f"{file} holds {', '.join(present)}; name one in source.variable, or several as channels")
    return names


def _numbered(channels: int) -> tuple[str, ...]:
    return tuple(f"channel_{number}" for number in range(channels))


def _check_equal(paths: Sequence[Path], parts: Sequence[Frames]) -> None:
    sizes = [part.values.shape[1:] for part in parts]
    usual = Counter(sizes).most_common(1)[0][0]
    odd = [f"  - {path}: {_size(size)}" for path, size in zip(paths, sizes, strict=True) if size != usual]
    if odd:
        head = f"all frames must be of one size, most are {_size(usual)} (rows × columns × channels); not so:"
        raise SourceError("\n".join([head, *odd[:_SHOWN]]))
    if len({part.stamps is None for part in parts}) > 1 or len({part.channels for part in parts}) > 1:
        raise SourceError("the files that match source.path are of several kinds; take those of one kind")


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))

"""The weights of an ensemble's networks: kept in its bundle, and unpacked where a later fit begins."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import keras

from forecasting.bundle.artifact import Bundle
from forecasting.bundle.spec import MemberFit, MemberSpec
from forecasting.config.job import Job
from forecasting.config.network import SegRNNModel, StackedModel
from forecasting.errors import TrainingError
from forecasting.runtime.files import replace
from forecasting.selection.candidates import Setting
from forecasting.series.windows import Windows
from forecasting.training.records import Start
from forecasting.training.warm_start import begin_with, freeze, replayed

__all__ = ["Further", "keep", "resume", "setting_of", "unpack"]

_ARCHIVE: Final = "members.zip"
_MODELS: Final[dict[str, type[StackedModel | SegRNNModel]]] = {"stacked": StackedModel, "segrnn": SegRNNModel}


class Further(NamedTuple):
    """A network of an older ensemble whose fit goes on from its weights."""

    setting: Setting
    fit: MemberFit  # the older one
    weights: Path  # a Keras file
    init: str  # what learns, as in `train.init`
    since: datetime  # the last reading that the older fit has learned from


def keep(networks: Sequence[Path | None], folder: Path) -> Path | None:
    """Write one archive of the Keras files of an ensemble's members, each named by its place; None without networks.

    Linear members have no file.
    """
    if not any(networks):
        return None

    def fill(draft: Path) -> None:
        with zipfile.ZipFile(draft, "w") as archive:
            for number, path in enumerate(networks):
                if path is not None:
                    archive.writestr(zipfile.ZipInfo(f"{number}.keras"), path.read_bytes())

    replace(folder / _ARCHIVE, fill)
    return folder / _ARCHIVE


def unpack(older: Bundle, start: Start, folder: Path) -> list[Further]:
    """The networks of an older ensemble, with their weights in `folder`.

    Raises TrainingError if the archive lacks one of them.
    """
    since = older.manifest.origin.fit_until
    if since is None:  # no start is made from such a bundle
        raise TrainingError(f"{older.path} does not record where its training data ended")
    networks = [(number, one, one.fit) for number, one in enumerate(older.spec.members) if one.fit is not None]
    with zipfile.ZipFile(older.path / _ARCHIVE) as archive:
        missing = [one.title for number, one, _ in networks if f"{number}.keras" not in archive.namelist()]
        if missing:
            raise TrainingError(f"{older.path / _ARCHIVE} lacks the weights of {', '.join(missing)}")
        contents = {number: archive.read(f"{number}.keras") for number, _, _ in networks}
    found = []
    for number, member, fit in networks:
        path = folder / f"{number}.keras"
        replace(path, partial(Path.write_bytes, data=contents[number]))
        found.append(Further(setting_of(member, fit), fit, path, start.init, since))
    return found


def resume(network: keras.Model, older: Further, windows: Windows, job: Job, *, until: datetime) -> Windows:
    """Give a network its older weights, frozen where they are to stay; returns the windows that it goes on to read.

    Raises TrainingError if they are another network's, DataError if no windows are left.
    """
    begin_with(network, older.weights)
    freeze(network, older.init)
    return replayed(windows, job, since=older.since, until=until)


def setting_of(member: MemberSpec, fit: MemberFit) -> Setting:
    """The settings that a member was trained with."""
    return Setting(member.title, _MODELS[member.model].model_validate({"params": fit.params}), member.context)

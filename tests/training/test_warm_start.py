"""Warm starts: they begin as the older fit ended, learn what they are told to, and know nothing that they must not."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin, open_bundle
from forecasting.bundle.forecaster import open_forecaster
from forecasting.config.head import NumberHead
from forecasting.config.job import Job
from forecasting.config.network import Stacked
from forecasting.errors import DataError, TrainingError
from forecasting.nn import heads, models
from forecasting.series.folds import Fold, folds
from forecasting.series.prepare import prepare
from forecasting.training.fit import fit
from forecasting.training.records import SCRATCH, Start, objections
from forecasting.training.warm_start import begin_with, replayed

NEW = 40  # steps that have come since the champion's fit


class World(NamedTuple):
    """A champion fitted on all but the newest steps, and the task of the next run."""

    champion: Path
    job: Job
    table: pd.DataFrame
    fold: Fold


@pytest.fixture(scope="module")
def world(task: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two recurrent layers, three epochs."""
    asked = task({"units": [4, 3]})
    before = asked.table[asked.table["ds"] <= asked.table["ds"].max() - pd.Timedelta(hours=NEW)]
    work = tmp_path_factory.mktemp("champion")
    fitted = fit(before, asked.job, folds(before, asked.job)[0], work, origin=Origin())
    return World(fitted.bundle, asked.job, asked.table, asked.fold)


def warm(world: World, work: Path, init: str = "champion", **train: Any) -> Path:
    """The bundle of a fit that begins with the champion's weights."""
    job = changed(world.job, **train)
    start = Start(init, world.champion, 1)
    return fit(world.table, job, world.fold, work, origin=Origin(), start=start).bundle


def changed(job: Job, **train: Any) -> Job:
    """The job with other keys in its section `train`."""
    return job.model_copy(update={"train": job.train.model_copy(update=train)})


def layers(bundle: Path) -> dict[str, list[np.ndarray]]:
    """The weights of each layer of the network in a bundle."""
    network = keras.saving.load_model(bundle / "model.keras", compile=False)
    return {layer.name: layer.get_weights() for layer in network.layers if layer.weights}


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    """Whether all weights of a layer are equal."""
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def graph(bundle: Path) -> bytes:
    """The exported weights."""
    return (bundle / "model.onnx").read_bytes()


def test_a_bundle_says_until_when_it_has_learned(world: World) -> None:
    """The border of its fold, and the end of what it was watched on."""
    origin = open_bundle(world.champion).manifest.origin
    last = world.table["ds"].max() - pd.Timedelta(hours=NEW)
    assert origin.fit_until is not None
    assert origin.seen_until is not None
    assert origin.fit_until < origin.seen_until < last
    assert origin.params == world.job.model.params.model_dump(mode="json")
    assert (origin.params["cell"], origin.params["units"], origin.params["dropout"]) == ("gru", [4, 3], 0.0)


def test_a_warm_fit_that_learns_nothing_is_the_champion(world: World, tmp_path: Path) -> None:
    """With a learning rate of nearly 0 it forecasts as the champion does: same weights, same features, same scaler."""
    still = warm(world, tmp_path, learning_rate=1e-30, weight_decay=0.0)
    one, other = (open_forecaster(path) for path in (world.champion, still))
    assert other.spec.scaler == one.spec.scaler
    cutoffs, quantiles = world.fold.cutoffs, world.job.head.quantiles
    expected, given = (f.at(world.table, cutoffs, quantiles).values[..., 1] for f in (one, other))
    np.testing.assert_allclose(given, expected, atol=1e-6)
    assert np.std(expected) > 0.1


def test_new_series_are_scaled_by_what_is_known_of_them(world: World, task: Callable[..., Any], tmp_path: Path) -> None:
    """The champion's scaler stays for its series; a series that came later has a state of its own."""
    newcomer = world.table[world.table["unique_id"] == world.table["unique_id"].iloc[0]]
    newcomer = newcomer.assign(unique_id="zz", y=newcomer["y"] * 50 + 1000)
    table = pd.concat([world.table, newcomer], ignore_index=True)
    scaler = open_bundle(warm(world._replace(table=table), tmp_path, epochs=1)).spec.scaler
    champion = open_bundle(world.champion).spec.scaler
    known = table[(table["unique_id"] == "zz") & (table["ds"] <= world.fold.fit_until)]["y"]
    assert scaler.unique_id == (*champion.unique_id, "zz")
    assert scaler.location[:-1] == champion.location
    assert scaler.location[-1] == pytest.approx(known.mean())
    assert scaler.scale[-1] == pytest.approx(known.std(ddof=0))


@pytest.mark.parametrize(
    ("init", "stay"), [("champion", set()), ("encoder", {"gru_1", "gru_2"}), ("head", {"gru_1", "gru_2", "steps"})]
)
def test_only_what_is_asked_for_learns(world: World, tmp_path: Path, init: str, stay: set[str]) -> None:
    """Frozen layers have the champion's weights to the last bit, all others have moved."""
    before, after = layers(world.champion), layers(warm(world, tmp_path, init, epochs=1))
    assert {name for name in before if same(before[name], after[name])} == stay


@pytest.mark.parametrize("name", ["seq2seq", "deepar", "segrnn", "conv_lstm"])
def test_every_network_has_an_encoder_that_can_be_frozen(task: Callable[..., Any], tmp_path: Path, name: str) -> None:
    """Warm from its own older fit, with the reading layers frozen: those stay, the head moves."""
    asked = task({})
    params = {"segrnn": {"units": 4, "segment": 4}, "conv_lstm": {}}.get(name, {"units": [4]})
    head = {"name": "normal"} if name == "deepar" else {}
    job = Job.model_validate(
        asked.job.model_dump()
        | {"model": {"name": name, "params": params}, "head": head, "train": {"epochs": 1, "windows_per_epoch": 64}}
    )
    first = fit(asked.table, job, asked.fold, tmp_path / "one", origin=Origin()).bundle
    start = Start("encoder", first, 1)
    before, after = (
        layers(path)
        for path in (first, fit(asked.table, job, asked.fold, tmp_path / "two", origin=Origin(), start=start).bundle)
    )
    stayed = {layer for layer in before if same(before[layer], after[layer])}
    frozen = {"seq2seq": "encoder_1", "deepar": "recurrent_1", "segrnn": "recurrence", "conv_lstm": "encoder_1"}
    assert frozen[name] in stayed
    assert "head" not in stayed
    assert not {"decoder_1", "forecaster_1"} & stayed


def test_replay_reads_what_is_new_and_a_share_of_the_rest(world: World) -> None:
    """Every window with a target after the champion's border, and so many of the others; the same in every epoch."""
    data = prepare(world.table, world.job, world.fold)
    since = pd.Timestamp(open_bundle(world.champion).manifest.origin.fit_until)
    step, horizon = pd.Timedelta(hours=1), world.job.window.horizon

    def cutoffs(share: float) -> pd.DataFrame:
        windows = replayed(data.train, changed(world.job, replay=share), since=since, until=world.fold.fit_until)
        rows = windows.rows(np.arange(len(windows)))
        return pd.DataFrame({"series": windows.panel.series_of(rows), "cutoff": windows.panel.stamps[rows]})

    every, new, some = cutoffs(1.0), cutoffs(0.0), cutoffs(0.25)
    recent = every["cutoff"] + horizon * step > since
    assert 0 < recent.sum() < len(every)
    pd.testing.assert_frame_equal(
        new.sort_values(["series", "cutoff"], ignore_index=True),
        every[recent].sort_values(["series", "cutoff"], ignore_index=True),
    )
    assert not some.duplicated().any()
    assert (some["cutoff"] + horizon * step > since).sum() == recent.sum()
    assert len(some) - recent.sum() == -(-(~recent).sum() // 4)
    pd.testing.assert_frame_equal(some, cutoffs(0.25))


def test_replay_of_nothing_where_nothing_is_new_is_refused(world: World) -> None:
    """One clear sentence instead of a fit without windows."""
    data = prepare(world.table, world.job, world.fold)
    with pytest.raises(DataError, match=r"no training window after .*; raise train\.replay"):
        replayed(data.train, changed(world.job, replay=0.0), since=world.fold.fit_until, until=world.fold.fit_until)


def test_replay_trains_on_fewer_windows(world: World, tmp_path: Path) -> None:
    """The cost goes down with the share: fewer steps an epoch."""
    steps = {
        share: open_bundle(
            warm(world, tmp_path / str(share), epochs=1, replay=share, batch_size=8)
        ).manifest.origin.steps
        for share in (0.1, 1.0)
    }
    assert 0 < steps[0.1] < steps[1.0] / 2


def test_nothing_after_the_fold_moves_a_warm_fit(world: World, tmp_path: Path) -> None:
    """Champion and challenger fitted on readings whose future was replaced by noise: not one byte of it differs."""
    draw = np.random.default_rng(3)
    after = world.table["ds"] > world.fold.seen_until
    noisy = world.table.assign(y=world.table["y"].where(~after, draw.normal(50, 9, len(world.table))))
    last = world.table["ds"].max() - pd.Timedelta(hours=NEW)
    before = noisy[noisy["ds"] <= last]
    again = fit(
        before, world.job, folds(world.table[world.table["ds"] <= last], world.job)[0], tmp_path / "a", origin=Origin()
    )
    assert (noisy["y"] != world.table["y"]).any()
    assert objections(open_bundle(again.bundle), world.job, [world.fold], world.table) == []

    changed_future = warm(world._replace(table=noisy, champion=again.bundle), tmp_path / "b")

    assert graph(changed_future) == graph(warm(world, tmp_path / "c"))


def test_a_champion_that_knows_the_backtest_is_no_first_weight(world: World) -> None:
    """Had it learned from, or been chosen by, one reading more than the first fold may see, it would be refused."""
    assert objections(open_bundle(world.champion), world.job, [world.fold], world.table) == []
    origin = open_bundle(world.champion).manifest.origin
    hour = pd.Timedelta(hours=1)
    early = world.fold._replace(fit_until=pd.Timestamp(origin.fit_until) - hour)
    allowed = f"but the first fit of this backtest may know only those up to {early.fit_until}"
    assert objections(open_bundle(world.champion), world.job, [early, world.fold], world.table) == [
        f"it learned from readings up to {origin.fit_until}, {allowed}"
    ]
    early = world.fold._replace(seen_until=pd.Timestamp(origin.seen_until) - hour)
    assert [
        "was chosen by" in why for why in objections(open_bundle(world.champion), world.job, [early], world.table)
    ] == [True]
    same_data = world.fold._replace(fit_until=pd.Timestamp(origin.fit_until))
    assert (
        "there are no readings after"
        in objections(open_bundle(world.champion), changed(world.job, replay=0.0), [same_data], world.table)[0]
    )


@pytest.mark.parametrize(
    ("section", "update", "expected"),
    [
        ("window", {"context": 13}, "its window.context is 12, the job's is 13"),
        ("model", {"name": "segrnn"}, "its model is stacked, the job's is segrnn"),
        ("model", {"params": Stacked(cell="gru", units=(4,))}, "its model.params.units is [4, 3], the job's is [4]"),
        (
            "head",
            {"quantiles": (0.05, 0.5, 0.95)},
            "its head.quantiles is (0.1, 0.5, 0.9), the job's is (0.05, 0.5, 0.95)",
        ),
        ("series", {"calendar": ("hour",)}, "its series.calendar is (), the job's is ('hour',)"),
        ("train", {"precision": "mixed_bfloat16"}, "its train.precision is float32, the job's is mixed_bfloat16"),
        ("series", {"scale": "none"}, "its series.scale is standard, the job's is none"),
    ],
)
def test_weights_of_another_network_are_refused_in_a_sentence(
    world: World, section: str, update: dict[str, Any], expected: str
) -> None:
    """Before anything is trained."""
    other = world.job.model_copy(update={section: getattr(world.job, section).model_copy(update=update)})
    assert objections(open_bundle(world.champion), other, [world.fold], world.table) == [expected]


def test_parameters_that_are_not_recorded_had_their_defaults(world: World) -> None:
    """A bundle that tells only what was written is the same network; one with another value is not."""
    bundle = open_bundle(world.champion)

    def recorded(**params: Any) -> list[str]:
        origin = bundle.manifest.origin.model_copy(update={"params": params})
        older = bundle._replace(manifest=bundle.manifest.model_copy(update={"origin": origin}))
        return objections(older, world.job, [world.fold], world.table)

    assert recorded(cell="gru", units=[4, 3]) == []
    assert recorded(units=[4, 3]) == ["its model.params.cell is lstm, the job's is gru"]
    assert recorded(cell="gru", units=[4, 3], depth=2) == ["its model.params.depth is 2, the job's is None"]


def test_a_network_file_of_another_network_is_never_half_read(world: World, tmp_path: Path) -> None:
    """Layers that would fit by chance, a damaged file, a missing array: each raises, and no code of a file runs."""
    bundle = open_bundle(world.champion)
    shapes = models.Shapes(context=12, horizon=4, past=1)
    smaller = models.build(Stacked(cell="gru", units=[4]), shapes, heads.build(NumberHead()))
    with pytest.raises(TrainingError, match="belong to another network"):
        begin_with(smaller, bundle.path / "model.keras")

    (tmp_path / "model.keras").write_bytes(b"no zip")
    with pytest.raises(TrainingError, match="cannot be read"):
        begin_with(smaller, tmp_path / "model.keras")

    with zipfile.ZipFile(bundle.path / "model.keras") as source, zipfile.ZipFile(tmp_path / "model.keras", "w") as copy:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"]["layers"][0] = {"class_name": "Lambda", "config": {"function": "os.system"}}
                content = json.dumps(config).encode()
            copy.writestr(name, content)
    with pytest.raises(TrainingError, match="belong to another network"):
        begin_with(smaller, tmp_path / "model.keras")


def test_scratch_is_what_it_was(world: World, tmp_path: Path) -> None:
    """A start from scratch is the default, and is no warm start."""
    assert not SCRATCH.warm
    one = fit(world.table, world.job, world.fold, tmp_path / "one", origin=Origin())
    other = fit(world.table, world.job, world.fold, tmp_path / "two", origin=Origin(), start=SCRATCH)
    assert graph(one.bundle) == graph(other.bundle) != graph(warm(world, tmp_path / "three"))

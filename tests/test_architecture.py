"""The house keeps its shape: small files, light imports, no dumping grounds."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from forecasting import sources
from forecasting.bundle.artifact import Origin
from forecasting.config.job import parse_job
from forecasting.evaluation.judging import fit_baselines
from forecasting.series.folds import folds

ROOT = Path(__file__).parents[1]
PACKAGES = ("forecasting", "pipelines")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FILES = sorted(
    path for top in (*PACKAGES, "benchmarks", "examples", "data", "tests") for path in (ROOT / top).rglob("*")
)
MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 60
DUMPS = {"utils", "util", "helpers", "common", "misc"}
HEAVY = {"tensorflow", "keras", "jax", "torch", "mlflow", "prefect", "sklearn"}

# Packages whose __init__ holds a registry, a literal dict; all others hold their docstring, and `forecasting` its API.
REGISTRIES = {"forecasting/sources", "forecasting/nn/cells", "forecasting/nn/heads", "forecasting/nn/models"}


def name(path: Path) -> str:
    """The path as seen from the root of the project."""
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file, nested ones included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first to the last statement, the docstring left out."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def contracts() -> dict[str, dict[str, list[str]]]:
    """The import contracts of pyproject.toml by name."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    return {contract["name"]: contract for contract in tools["importlinter"]["contracts"]}


def loaded_by(*statements: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after these statements."""
    code = "\n".join([*statements, "import sys", "print(*{name.partition('.')[0] for name in sys.modules})"])
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_no_file_is_a_dumping_ground() -> None:
    """A helper lives beside its only caller or gets a noun: no file is named utils.py or the like."""
    assert [name(path) for path in FILES if path.stem in DUMPS] == []


def test_files_fit_on_a_few_pages() -> None:
    """No file of the library or the flows has more than 350 lines."""
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {path: length for path, length in lengths.items() if length > MAX_FILE_LINES} == {}


def test_functions_fit_on_a_page() -> None:
    """No function's body has more than 60 lines."""
    lengths = {f"{name(path)}:{each.name}": body_lines(each) for path in MODULES for each in functions(path)}
    assert lengths
    assert {place: length for place, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


def test_package_roots_hold_a_docstring_only() -> None:
    """Importing a package costs nothing: its __init__ holds its docstring, registries and the lazy API aside."""
    crowded = []
    for path in MODULES:
        if path.name == "__init__.py" and name(path.parent) not in {*REGISTRIES, "forecasting"}:
            nodes = ast.parse(path.read_text(encoding="utf-8")).body
            crowded += [name(path)] if any(not _is_plain(node) for node in nodes) else []
    assert crowded == []


def _is_plain(node: ast.stmt) -> bool:
    """A docstring, or a name set to a literal such as `__all__` or the version."""
    value = node.value if isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign) else None
    return isinstance(value, ast.Constant | ast.List)


def test_every_module_says_what_is_public() -> None:
    """A module opens with a docstring and names its public surface in `__all__`."""
    silent = []
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assigned = {
            t.id for node in tree.body if isinstance(node, ast.Assign) for t in node.targets if isinstance(t, ast.Name)
        }
        if ast.get_docstring(tree) is None or (path.name != "__init__.py" and "__all__" not in assigned):
            silent.append(name(path))
    assert silent == []


def test_no_two_classes_have_one_name() -> None:
    """Whoever searches for a class by its name finds one; those that a module keeps to itself do not count."""
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name(path))
    assert {each: where for each, where in places.items() if len(where) > 1} == {}


def test_what_is_private_stays_at_home() -> None:
    """No module imports a private module of another package, nor a private name of another module."""
    product = [path for path in FILES if path.suffix == ".py" and path.relative_to(ROOT).parts[0] != "tests"]
    assert [line for path in product for line in private_imports(path)] == []


def test_a_private_import_is_seen() -> None:
    """The check above can fail: both kinds are found, wherever they stand; dunder names are public."""
    path = ROOT / "forecasting" / "cli" / "made_up.py"
    source = """
from forecasting.storage.reading import _groups, names
from forecasting import __version__
def late():
    import forecasting.nn._secret
    from forecasting.cli import _mine
"""
    assert private_imports(path, source) == [
        "forecasting/cli/made_up.py: forecasting.storage.reading._groups",
        "forecasting/cli/made_up.py: forecasting.nn._secret",
    ]


def private_imports(path: Path, source: str | None = None) -> list[str]:
    """What a file imports that is private to another package of the project."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8") if source is None else source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    home = ".".join(path.relative_to(ROOT).parts[:-1])
    return [f"{name(path)}: {each}" for each in found if _is_private(each) and not each.startswith(f"{home}._")]


def _is_private(imported: str) -> bool:
    """Whether a name of the project has a part that begins with one underscore."""
    first, *parts = imported.split(".")
    return first in (*PACKAGES, "benchmarks") and any(part[0] == "_" and part[:2] != "__" for part in parts)


def test_the_top_of_the_library_holds_packages() -> None:
    """Beside the packages stand only the errors and the names of columns: a new module has a room to go to."""
    loose = {path.name for path in (ROOT / "forecasting").glob("*.py")}
    assert loose == {"__init__.py", "columns.py", "errors.py"}


def test_every_flow_is_a_stranger_to_its_siblings() -> None:
    """The contract that keeps flows apart names all of them."""
    files = (ROOT / "pipelines").glob("*.py")
    flows = {f"pipelines.{path.stem}" for path in files if any(_is_flow(each) for each in functions(path))}
    assert flows
    assert flows == set(contracts()["Flows do not know each other"]["modules"])


def _is_flow(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether Prefect's decorator stands above it."""
    return any(ast.unparse(decorator).startswith("flow") for decorator in function.decorator_list)


@pytest.mark.parametrize(
    ("statements", "banned"),
    [
        pytest.param(
            ["import forecasting as fc", "assert 'fit' in dir(fc)", "import sys, forecasting.api"],
            HEAVY | {"numpy", "pandas", "pydantic", "rich", "typer", "yaml", "logging"},
            id="the library",
        ),
        pytest.param(
            ["import forecasting as fc", "fc.fit, fc.backtest, fc.open, fc.load, fc.job, fc.run"], HEAVY, id="its API"
        ),
        pytest.param(
            [
                f"import forecasting.{module}"
                for module in ("cli", "config.job", "config.settings", "columns", "errors")
            ],
            HEAVY | {"pandas", "onnxruntime"},
            id="command line",
        ),
        pytest.param(
            [
                "from pathlib import Path",
                "from forecasting.cli.arguments import read_job",
                "assert read_job(Path('configs/quickstart.yaml')).name == 'glucose'",
            ],
            HEAVY | {"numpy", "pandas", "pyarrow", "onnxruntime", "plotly"},
            id="reading a job",
        ),
        pytest.param(
            ["from forecasting.config.schema import schema_text", "assert schema_text()"],
            HEAVY | {"numpy", "pandas", "plotly"},
            id="schema",
        ),
        pytest.param(["import forecasting.bundle.forecaster", "import forecasting.series.windows"], HEAVY, id="bundle"),
        pytest.param(["import forecasting.training.records"], HEAVY, id="records of a fit"),
        pytest.param(["import forecasting.registry.registry"], HEAVY - {"mlflow"}, id="registry"),
        pytest.param(["import forecasting.serve.app", "import forecasting.serve.client"], HEAVY, id="service"),
        pytest.param(["import pipelines"], HEAVY, id="flows"),
        pytest.param(
            [
                "import numpy as np",
                "from forecasting.evaluation.baselines import Linear, to_onnx",
                "from forecasting.evaluation.ngrams import NgramTable, table_to_onnx",
                "to_onnx(Linear(2, np.ones((2, 1)), np.empty((0, 1)), np.zeros(1)), inputs=1, ahead=0)",
                "table_to_onnx(NgramTable(np.zeros((2, 2)), np.arange(2), 1))",
            ],
            HEAVY,
            id="baselines",
        ),
    ],
)
def test_light_imports_stay_light(statements: list[str], banned: set[str]) -> None:
    """Help is instant; serving, and baselines though they share the builder of graphs, need no training package."""
    assert loaded_by(*statements) & banned == set()


def test_forecasting_from_a_bundle_needs_no_training_package(tmp_path: Path) -> None:
    """A process that opens a bundle and forecasts with it never loads TensorFlow, Keras, MLflow or Prefect."""
    job = parse_job(
        {
            "name": "made-up",
            "source": {"kind": "synthetic", "length": 200},
            "series": {"freq": "h"},
            "window": {"context": 24, "horizon": 3},
            "backtest": {"windows": 5},
        }
    )
    table = sources.read(job)
    fit_baselines(table, job, folds(table, job), tmp_path, origin=Origin())
    table.to_parquet(tmp_path / "history.parquet")
    loaded = loaded_by(
        "import pandas",
        "from forecasting.bundle.forecaster import open_forecaster",
        f"history = pandas.read_parquet({str(tmp_path / 'history.parquet')!r})",
        f"forecast = open_forecaster({str(tmp_path / 'ridge-0')!r}).forecast(history)",
        "assert len(forecast) == 9 and forecast['q0.5'].notna().all()",
    )
    assert "onnxruntime" in loaded
    assert loaded & HEAVY == set()


def test_loaded_by_sees_a_heavy_import() -> None:
    """The check above can fail: it sees a package that is imported on the way."""
    assert "pandas" in loaded_by("import pandas")

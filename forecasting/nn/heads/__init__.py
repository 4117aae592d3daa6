"""Heads by name: a head turns features into a forecast distribution and knows the loss that trains it.

A head is a layer called with [features (B, N, W), frame (B, N, 2)]; it offers `loss(y_true, output)`, for
`model.compile(loss=head.loss)`, and `output_name`, what its output is called in an exported graph: "quantiles" or
"parameters". How parameters are read is told by `forecasting.bundle.distributions`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from forecasting.errors import ConfigError
from forecasting.nn.heads.categorical import CategoricalHead
from forecasting.nn.heads.negative_binomial import NegativeBinomialHead
from forecasting.nn.heads.normal import NormalHead
from forecasting.nn.heads.quantile import QuantileHead
from forecasting.nn.heads.student_t import StudentTHead

__all__ = ["HEADS", "build"]

# each from the levels of the quantiles and the number of classes
HEADS: Final[dict[str, Callable[[Sequence[float], int], Any]]] = {
    "quantile": lambda levels, _: QuantileHead(levels, name="head"),
    "normal": lambda _, __: NormalHead(name="head"),
    "student_t": lambda _, __: StudentTHead(name="head"),
    "negative_binomial": lambda _, __: NegativeBinomialHead(name="head"),
    "categorical": lambda _, classes: CategoricalHead(classes, name="head"),
}


def build(name: str, quantiles: Sequence[float], *, classes: int | None = None) -> Any:
    """The head of that name for these quantile levels; `classes` is how many codes a categorical head tells apart.

    Raises ConfigError for an unknown name, wrong levels, or a number of classes where none belongs.
    """
    if name not in HEADS:
        raise ConfigError(f"there is no head {name!r}; valid heads: {', '.join(HEADS)}")
    levels = [float(level) for level in quantiles]
    wrong = []
    if not levels or any(not 0 < level < 1 for level in levels) or levels != sorted(set(levels)):
        wrong.append(f"quantiles {levels} must increase strictly and lie between 0 and 1")
    if name == "categorical" and (classes is None or classes < 2):
        wrong.append(f"head categorical tells at least 2 classes apart, got {classes}")
    if name != "categorical" and classes is not None:
        wrong.append(f"head {name} has no classes, got {classes}; head categorical has")
    if wrong:
        raise ConfigError("; ".join(wrong))
    return HEADS[name](levels, classes or 0)

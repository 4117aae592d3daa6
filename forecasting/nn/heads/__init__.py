"""Heads by name: a head turns features into a forecast distribution and knows the loss that trains it.

A head is a layer called with [features (B, M, W), loc_scale (B, M, 2)]; it offers `loss(y_true, output)`, for
`model.compile(loss=head.loss)`, and `output_name`, the name of its output in an exported graph: "quantiles" or
"parameters". `forecasting.bundle.distributions` interprets the parameters.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from forecasting.config.head import Head
from forecasting.errors import ConfigError
from forecasting.nn.heads.categorical import CategoricalHead
from forecasting.nn.heads.negative_binomial import NegativeBinomialHead
from forecasting.nn.heads.normal import NormalHead
from forecasting.nn.heads.quantile import QuantileHead
from forecasting.nn.heads.student_t import StudentTHead

__all__ = ["HEADS", "build"]

# each from the quantiles and the number of classes
HEADS: Final[dict[str, Callable[[Sequence[float], int], Any]]] = {
    "quantile": lambda quantiles, _: QuantileHead(quantiles, name="head"),
    "normal": lambda _, __: NormalHead(name="head"),
    "student_t": lambda _, __: StudentTHead(name="head"),
    "negative_binomial": lambda _, __: NegativeBinomialHead(name="head"),
    "categorical": lambda _, classes: CategoricalHead(classes, name="head"),
}


def build(head: Head, *, classes: int | None = None) -> Any:
    """The head as a layer; `classes` is the number of codes of a categorical one.

    Raises ConfigError for too few classes, or for classes of any other head.
    """
    if head.name == "categorical" and (classes is None or classes < 2):
        raise ConfigError(f"head categorical needs at least 2 classes, got {classes}")
    if head.name != "categorical" and classes is not None:
        raise ConfigError(f"head {head.name} takes no classes, got {classes}; only categorical does")
    return HEADS[head.name](head.quantiles, classes or 0)

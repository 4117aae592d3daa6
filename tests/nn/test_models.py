"""The single place that builds a network from its parameters."""

import pytest

from forecasting.config.head import NumberHead
from forecasting.config.network import NETWORKS, Stacked
from forecasting.errors import ConfigError
from forecasting.nn import heads, models
from forecasting.nn.models import Shapes


@pytest.mark.parametrize("name", models.MODELS)
def test_every_network_builds_with_its_defaults(name: str) -> None:
    """Default parameters give a network whose output is (B, H, Q), or one that answers at every step (B, T, Q)."""
    model = models.build(NETWORKS[name](), Shapes(6, 3, 1), heads.build(NumberHead(quantiles=(0.1, 0.5))))
    assert tuple(model.output.shape) == (None, None if name == "in_step" else 3, 2)


@pytest.mark.parametrize("name", models.MODELS)
def test_what_goes_step_by_step_has_parts(name: str) -> None:
    """A reader of the context and a step, as the configuration says of the network."""
    assert hasattr(models.MODELS[name], "parts") is NETWORKS[name].step_by_step


def test_highway_longer_than_the_context_is_refused() -> None:
    """It cannot look back further than the window does; so it is where the shapes come from no job."""
    with pytest.raises(ConfigError, match="highway: must be at most the context of 6 steps, got 9"):
        models.build(Stacked(highway=9), Shapes(6, 3, 1), heads.build(NumberHead(quantiles=(0.5,))))

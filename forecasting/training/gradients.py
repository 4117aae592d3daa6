"""The norms of gradients while a network learns: whether they vanish, and how often they are clipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

__all__ = ["WatchedAdamW", "forget_norms", "norms_of", "optimizer_of"]


class WatchedAdamW(keras.optimizers.AdamW):
    """AdamW (Loshchilov & Hutter 2019) that adds up the global norms of its gradients; its steps are the same."""

    def build(self, variables: Sequence[Any]) -> None:
        """One variable (3,) more: the sum of the norms before clipping, the clipped steps, and all steps."""
        built = self.built
        super().build(variables)
        if not built:
            self.norms = self.add_variable((3,), initializer="zeros", name="gradient_norms")

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        """Make one step."""
        given = [ops.cast(ops.convert_to_tensor(each), "float32") for each in grads if each is not None]
        norm = ops.sqrt(sum(ops.sum(ops.square(each)) for each in given))
        super().apply(grads, trainable_variables)
        clipped = ops.cast(norm > (self.global_clipnorm or np.inf), "float32")
        self.assign_add(self.norms, ops.stack([norm, clipped, ops.ones_like(norm)]))


def forget_norms(network: keras.Model) -> None:
    """Begin to add up anew: a sum over all steps of a fit would swallow what is small."""
    optimizer = optimizer_of(network)
    if optimizer.built:
        optimizer.norms.assign(np.zeros(3, "float32"))


def norms_of(network: keras.Model) -> dict[str, float]:
    """The mean norm of the steps since then, and the share that was clipped, as columns of a training curve."""
    total, clipped, steps = ops.convert_to_numpy(optimizer_of(network).norms).astype(float)
    return {"gradient_norm": total / max(steps, 1.0), "clipped": clipped / max(steps, 1.0)}


def optimizer_of(network: keras.Model) -> WatchedAdamW:
    """The optimizer of a compiled network; with half precision it stands inside another one."""
    found: WatchedAdamW = getattr(network.optimizer, "inner_optimizer", network.optimizer)
    return found

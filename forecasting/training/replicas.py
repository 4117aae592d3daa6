"""One fit on several devices: each computes the gradient of its part of every batch (data parallel)."""

from __future__ import annotations

from typing import Any

import keras

__all__ = ["Replicas", "on_devices"]


def on_devices(network: keras.Model, devices: list[str]) -> keras.Model:
    """What learns in place of `network`: itself, or on TensorFlow the same weights on all of several devices."""
    if len(devices) == 1 or keras.backend.backend() != "tensorflow":
        return network
    return Replicas(network, devices)


class Replicas(keras.Model):
    """A network whose batches (B, …) are split among devices; the gradients of all parts are added up.

    Weights and optimizer stay on the first device, and the others read them in every step. Keras under
    tf.distribute.MirroredStrategy clips the gradients of each replica before they are added, so that the same
    `clip_norm` means something else on every number of devices; here it is the gradient of the batch that is clipped.
    """

    def __init__(self, network: keras.Model, devices: list[str]) -> None:
        super().__init__(name="replicas")
        self.network = network
        self.devices = devices

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """As the network itself."""
        return self.network(inputs, training=training)

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step of the optimizer along the gradient of the loss of a batch, a mean over its observed targets."""
        import tensorflow as tf

        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        size, count, total = tf.shape(y)[0], len(self.devices), _observed(y)
        losses, gradients = [], []
        for number, device in enumerate(self.devices):
            rows = slice(size * number // count, size * (number + 1) // count)
            mine, targets = tf.nest.map_structure(lambda values, rows=rows: values[rows], (x, y))
            with tf.device(device):
                with tf.GradientTape() as tape:
                    loss = self.compute_loss(mine, targets, self(mine, training=True), training=True)
                    loss *= _observed(targets) / total
                    scaled = self.optimizer.scale_loss(loss)
                gradients.append(tape.gradient(scaled, self.trainable_weights))
            losses.append(loss)
        summed = [tf.add_n(parts) for parts in zip(*gradients, strict=True)]
        self.optimizer.apply(summed, self.trainable_weights)
        self.metrics[0].update_state(tf.add_n(losses))
        return {"loss": self.metrics[0].result()}


def _observed(targets: Any) -> Any:
    """The number of targets (B, M) that are not NaN, at least 1."""
    import tensorflow as tf

    return tf.maximum(tf.reduce_sum(tf.cast(tf.math.is_finite(targets), tf.float32)), 1.0)

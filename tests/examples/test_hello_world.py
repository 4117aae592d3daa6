"""Hello world!: the string comes back from nothing."""

from examples import hello_world


def test_hello_world_is_reproduced_by_five_units() -> None:
    """All twelve characters are right, and together they are far more probable than anything else."""
    model = hello_world.fit(hello_world.TRAIN)
    said, probability = hello_world.say(model)
    assert said == "Hello world!"
    assert probability > 0.9
    assert model.vocabulary.size == 9 + 1
    assert hello_world.NETWORK.units == (5,)

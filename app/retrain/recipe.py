"""How a stand-alone network is trained; the same recipe for every network of a comparison."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt, ValidationError
from pydantic import NonNegativeInt as Count
from pydantic import PositiveFloat as Positive

from app.errors import InputError


class Recipe(BaseModel):
    """SGD with Nesterov momentum; a learning rate that warms up, then falls along a cosine."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    epochs: PositiveInt = 50
    batch_size: Annotated[int, Field(ge=2)] = 128
    learning_rate: Positive = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: NonNegativeFloat = 5e-4
    """Of convolution and linear weights; BatchNorm and biases have none."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the steps in which the learning rate rises."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.998
    """Decay a step of the average of weights, which is what is validated and kept; 0 is off."""
    trivial_augment: bool = False
    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    """Share of the training pictures that is held out to choose the best epoch by."""
    patience: Count = 0
    """Stop after so many epochs without a better validation accuracy; 0 never does."""


def make_recipe(values: dict[str, Any]) -> Recipe:
    """The recipe of these values; None leaves a default. Raises InputError naming the option."""
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return Recipe.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        option = OPTIONS.get(str(first["loc"][0]), str(first["loc"][0])).replace("_", "-")
        reason = first["msg"][0].lower() + first["msg"][1:]
        raise InputError(f"--{option} {first['input']}: {reason}") from None


OPTIONS = {"learning_rate": "lr"}
"""Command-line options that are not called like their field."""

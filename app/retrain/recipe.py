"""How a stand-alone network is trained; all networks of a comparison share one recipe."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import InputError

OPTIONS = {"learning_rate": "lr"}
"""Fields whose command-line option has another name."""


class Recipe(BaseModel):
    """SGD with Nesterov momentum and a learning rate that warms up, then falls along a cosine."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    epochs: int = Field(default=50, gt=0, description="Passes over the training images.")
    batch_size: int = Field(default=128, ge=2, description="Images per step.")
    learning_rate: float = Field(default=0.1, gt=0, description="Peak learning rate.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Nesterov momentum.")
    weight_decay: float = Field(
        default=5e-4,
        ge=0,
        description="Of convolution and linear weights; BatchNorm and biases have none.",
    )
    warmup: float = Field(default=0.05, ge=0, lt=1, description="Share of the steps that warm up.")
    label_smoothing: float = Field(default=0.1, ge=0, lt=1, description="Label smoothing.")
    ema: float = Field(
        default=0.998,
        ge=0,
        lt=1,
        description="Decay of the averaged weights, which are kept; 0 is off.",
    )
    trivial_augment: bool = Field(
        default=False, description="TrivialAugment on top of random crops and mirroring."
    )
    balanced: bool = Field(
        default=False,
        description="Draw every class equally often; pick the epoch by balanced accuracy.",
    )
    validation: float = Field(
        default=0.1,
        gt=0,
        lt=0.5,
        description="Share of the images held out to pick the epoch.",
    )
    patience: int = Field(
        default=0,
        ge=0,
        description="Stop after this many epochs without progress; 0 is never.",
    )

    def arguments(self) -> list[str]:
        """Command-line arguments that give this recipe: the epochs, and what is not a default."""
        words = []
        for field, value in self:
            if value is True:
                words.append(option_name(field))
            elif field == "epochs" or value != Recipe.model_fields[field].default:
                words += [option_name(field), str(value)]
        return words


def option_name(field: str) -> str:
    """The command-line option of a field of Recipe."""
    return f"--{OPTIONS.get(field, field).replace('_', '-')}"


def make_recipe(options: Mapping[str, Any]) -> Recipe:
    """Make the recipe that command-line options give; None means the default.

    Options of other meaning are passed over. Raises InputError that names a bad option.
    """
    names = {field: OPTIONS.get(field, field) for field in Recipe.model_fields}
    values = {field: options.get(name) for field, name in names.items()}
    try:
        return Recipe.model_validate({k: v for k, v in values.items() if v is not None})
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"][0].lower() + first["msg"][1:]
        option = option_name(str(first["loc"][0]))
        raise InputError(f"{option} {first['input']}: {reason}") from None

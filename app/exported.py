"""Exported networks as modules again, whole or as the backbone of a detector."""

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

import spaces
from app.errors import InputError
from spaces import FeatureNode

FORMAT = "bnnas exported network 1"


def load_network(path: str | Path, features_only: bool = False) -> nn.Module:
    """Build the network that `export` describes in `model.json`, with its trained weights.

    It is in evaluation mode and returns class scores, or the feature maps of a `Backbone` with
    `features_only`. Raises InputError for files that are missing, changed or not from an export.
    """
    path = Path(path)
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise ValueError
        weights = path.with_suffix(".safetensors").read_bytes()
        if hashlib.sha256(weights).hexdigest() != about["weights"]["sha256"]:
            raise InputError(f"'{path.with_suffix('.safetensors')}' does not belong to '{path}'")
        origin, size = about["architecture"], about["input"]["size"]
        classes = len(about["classes"])
        space = spaces.create(origin["space"], classes, size, origin["space_options"])
        network = space.build(origin["string"])
        network.load_state_dict(load(weights))
    except OSError as error:
        raise InputError(f"cannot read the exported network: {error}") from None
    except (ValueError, TypeError, KeyError, RuntimeError):
        raise InputError(f"'{path}' is not what this version's export writes") from None
    return Backbone(network.eval(), size) if features_only else network.eval()


@dataclass(frozen=True)
class FeatureInfo:
    """Channels and reductions of feature maps, asked for as in timm."""

    _channels: list[int]
    _reductions: list[int]

    def channels(self) -> list[int]:
        """The channels of each map."""
        return self._channels

    def reduction(self) -> list[int]:
        """The pixels of an image, a side, to one of each map."""
        return self._reductions


class Backbone(nn.Module):
    """Images in; out, the last feature map of each resolution, the largest first."""

    def __init__(self, network: nn.Module, image_size: int) -> None:
        super().__init__()
        extract = partial(
            create_feature_extractor, network, tracer_kwargs={"leaf_modules": [FeatureNode]}
        )
        nodes = [name for name, m in network.named_modules() if isinstance(m, FeatureNode)]
        with torch.no_grad():
            maps = extract(nodes).eval()(torch.zeros(1, 3, image_size, image_size))
        last = {image_size // x.shape[-1]: (name, x.shape[1]) for name, x in maps.items()}
        self.feature_info = FeatureInfo([channels for _, channels in last.values()], list(last))
        self.extractor = extract([name for name, _ in last.values()])

    def forward(self, images: Tensor) -> list[Tensor]:
        """N×3×H×W to N×C×H/R×W/R for each C of `channels()` and R of `reduction()`."""
        return list(self.extractor(images).values())

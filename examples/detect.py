"""A detector on a found network: python examples/detect.py model.json

Puts torchvision's RetinaNet on the backbone that `main.py export` has written, and takes one
training step on a made-up picture. Use your own data set in its place.
"""

import sys
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork

import app as bnnas

LEVELS = 3
"""The smallest feature maps, in which objects are looked for."""


class Pyramid(nn.Module):
    """The backbone's smallest feature maps, mixed and with equally many channels."""

    def __init__(self, backbone: nn.Module, channels: int = 64) -> None:
        super().__init__()
        self.backbone = backbone
        self.mix = FeaturePyramidNetwork(backbone.feature_info.channels()[-LEVELS:], channels)
        self.out_channels = channels

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """N×3×H×W to a map for each level, the largest first."""
        maps = self.backbone(images)[-LEVELS:]
        return self.mix(OrderedDict((str(i), x) for i, x in enumerate(maps)))


def create_detector(model: str, num_classes: int, image_size: int = 128) -> RetinaNet:
    """A RetinaNet whose anchors are four, five and six pixels of a map wide."""
    backbone = bnnas.load_network(model, features_only=True)
    strides = backbone.feature_info.reduction()[-LEVELS:]
    sizes = tuple((4 * stride, 5 * stride, 6 * stride) for stride in strides)
    anchors = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))
    return RetinaNet(
        Pyramid(backbone),
        num_classes,
        min_size=image_size,
        max_size=image_size,
        anchor_generator=anchors,
    )


def main() -> None:
    """Take one training step and print the losses."""
    if len(sys.argv) != 2:
        sys.exit("usage: python detect.py MODEL.json")
    detector = create_detector(sys.argv[1], num_classes=2).train()
    optimizer = torch.optim.SGD(detector.parameters(), lr=0.01)
    picture = torch.rand(3, 128, 128)
    picture[:, 40:80, 30:90] = 1.0
    target = {"boxes": torch.tensor([[30.0, 40.0, 90.0, 80.0]]), "labels": torch.tensor([1])}
    losses = detector([picture], [target])
    sum(losses.values()).backward()
    optimizer.step()
    print(", ".join(f"{name} {value:.3f}" for name, value in losses.items()))


if __name__ == "__main__":
    main()

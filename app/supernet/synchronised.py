"""BatchNorm whose statistics are those of the whole batch, parts of which lie at several ranks.

As `torch.nn.SyncBatchNorm`, which computes on CUDA alone; this one does on every device, so that
it can be tested where there is no accelerator.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from app.supernet.exchange import collective


class SynchronisedBatchNorm(TorchFunctionMode):
    """Context in which every BatchNorm normalises with the statistics of all ranks' images.

    A context and not a module, as it belongs to the training: the same supernet is scored
    afterwards, by one rank. `share` is that of this rank in the batch, from 0 to 1; a loss is to
    be weighted with it, so that gradients add up.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Called in place of every function of PyTorch."""
        options = kwargs or {}
        if func is F.batch_norm and options["training"]:
            weight, bias, eps = options["weight"], options["bias"], options["eps"]
            return _Normalise.apply(args[0], weight, bias, eps, self.share)
        return func(*args, **options)


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, share: float
    ) -> Tensor:
        mean, variance = (part.double() for part in torch.batch_norm_update_stats(x, None, None, 0))
        # In double precision, as the variance is the difference of two sums that may be large
        sums = share * torch.stack((mean, variance + mean.square()))
        collective(dist.all_reduce, sums)
        variance = (sums[1] - sums[0].square()).clamp(min=0)
        mean, inverse = sums[0].float(), (variance + eps).rsqrt().float()
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.eps, ctx.share = eps, share
        return F.batch_norm(x, mean, variance.float(), weight, bias, False, 0, eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """With g the gradient, x̂ the normalised input and means over all ranks' images:
        γ/σ·(g - mean(g) - x̂·mean(g·x̂)); for γ and β the sums here, which are added up later.
        """
        (g,) = gradients
        x, weight, mean, inverse = ctx.saved_tensors
        _, for_weight, for_bias = torch.ops.aten.native_batch_norm_backward(
            g, x, weight, None, None, mean, inverse, True, ctx.eps, [False, True, True]
        )
        sums = torch.stack((for_weight, for_bias))
        collective(dist.all_reduce, sums)
        mean_product, mean_gradient = sums * (ctx.share * x.shape[1] / x.numel())
        scale = inverse if weight is None else inverse * weight
        slope = -scale * inverse * mean_product
        shift = -scale * mean_gradient - slope * mean
        scale, slope, shift = (part.view(1, -1, 1, 1) for part in (scale, slope, shift))
        for_x = torch.addcmul(shift, g, scale).addcmul_(x, slope).to(x.dtype)
        affine = (None, None) if weight is None else (for_weight, for_bias)
        return (for_x, *affine, None, None)

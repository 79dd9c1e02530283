"""Peak memory of a network: how many numbers its activations hold at most, for one image.

Operations run one after the other, in the order of `forward`, which is that of the exported graph.
While one runs, its inputs, its output and all that later operations read are live, such as the
input of a residual block. BatchNorm is folded, and an elementwise operation (activation function,
sum, product) writes over an input of its size that nothing reads later, as onnxruntime lets it;
SiLU is one operation, to which onnxruntime fuses it. Slices, padding and concatenations are copies.
What leads to no output is left out, and an operation without weights that is repeated on the same
inputs runs once, as exporters let it. Weights do not count, nor the scratch space of a convolution.
"""

from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ELEMENTWISE = {"native_batch_norm", "relu", "hardtanh", "silu", "sigmoid", "add", "sub", "mul"}
ELEMENTWISE |= {"div", "hardswish", "hardsigmoid", "leaky_relu", "gelu", "tanh"}
"""Names of operations of PyTorch's ATen that compute each number from those at its place."""


class Step(NamedTuple):
    """An operation: its name, the tensors it reads, and how many numbers it writes."""

    name: str
    """With arguments that are no tensors; empty if it has weights."""
    reads: tuple[int, ...]
    size: int
    elementwise: bool = False


class Tape:
    """The operations of a network in their order; each tensor has the number of its operation."""

    def __init__(self, inputs: int) -> None:
        """`inputs` is how many numbers the network reads."""
        self.steps = [Step("", (), inputs)]
        self._known: dict[tuple[str, tuple[int, ...]], int] = {}

    def add(self, step: Step) -> int:
        """Add an operation, or find it where it is repeated; returns the number of its output."""
        number = len(self.steps)
        if step.name:
            number = self._known.setdefault((step.name, step.reads), number)
        if number == len(self.steps):
            self.steps.append(step)
        return number

    def peak(self, output: int) -> int:
        """Most numbers that are live at once until `output` is computed."""
        steps, live = self.steps, {output}
        peak: int = steps[output].size
        total = peak
        for number in range(output, 0, -1):
            if number not in live:  # it leads to no output
                continue
            _, reads, size, elementwise = steps[number]
            dying = {read for read in reads if read not in live}
            total += sum(steps[read].size for read in dying)
            in_place = elementwise and any(steps[read].size == size for read in dying)
            peak = max(peak, total - size if in_place else total)
            live.remove(number)
            live |= dying
            total -= size
        return peak


class Value:
    """A tensor on a tape, C×H×W. It can be added, sliced by channel and concatenated like one."""

    def __init__(self, tape: Tape, number: int, shape: tuple[int, ...]) -> None:
        self.tape, self.number, self.shape = tape, number, shape

    @staticmethod
    def image(size: int) -> "Value":
        """An image of 3×size×size on a tape of its own."""
        return Value(Tape(3 * size * size), 0, (3, size, size))

    @property
    def peak(self) -> int:
        """Most numbers that are live at once until this tensor is computed."""
        return self.tape.peak(self.number)

    def __add__(self, other: "Value") -> "Value":
        return self._step("add", self.shape[0], self, other)

    def __getitem__(self, index: tuple[slice, slice]) -> "Value":
        channels = len(range(self.shape[0])[index[1]])
        return self if channels == self.shape[0] else self._step("slice", channels, self)

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        first, *rest = args
        if function is torch.zeros_like:
            return first._step("zeros_like", first.shape[0])
        if function is torch.add:
            return first + rest[0]
        if function is torch.cat:
            return first[0]._step("cat", sum(value.shape[0] for value in first), *first)
        return NotImplemented

    def _step(self, name: str, channels: int, *reads: "Value") -> "Value":
        shape, numbers = (channels, *self.shape[1:]), tuple(value.number for value in reads)
        step = Step(f"{name} {shape}", numbers, prod(shape), name in ELEMENTWISE)
        return Value(self.tape, self.tape.add(step), shape)


class Piece:
    """A recorded module of one input: called with a value, it adds its operations to the tape."""

    def __init__(self, module: nn.Module, *shape: int) -> None:
        """Record `module`, whose input has `shape` (C, H, W); it may be on the meta device."""
        device = next(module.parameters(), torch.empty(0)).device
        with torch.no_grad(), _Recorder(torch.empty(1, *shape, device=device)) as recorder:
            output = module.eval()(recorder.input)
        self.tape: Tape = recorder.tape
        self.output: int = recorder.number(output)
        self.shape: tuple[int, ...] = tuple(output.shape[1:])

    @property
    def peak(self) -> int:
        """Most numbers that are live at once in the module alone."""
        return self.tape.peak(self.output)

    def __call__(self, value: Value) -> Value:
        """Run the module on `value`."""
        numbers = [value.number]
        for name, reads, size, elementwise in self.tape.steps[1:]:
            moved = tuple([numbers[read] for read in reads])
            numbers.append(value.tape.add(Step(name, moved, size, elementwise)))
        return Value(value.tape, numbers[self.output], self.shape)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every operation on what comes from the input; weights are no tensors of the tape."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tape, self.input = Tape(images.numel()), images
        self._tensors: dict[int, tuple[Tensor, int]] = {id(images): (images, 0)}
        """Kept, so that no other tensor gets the id of one of them."""

    def number(self, tensor: Tensor) -> int:
        """The number of a tensor on the tape."""
        return self._tensors[id(tensor)][1]

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        output = result[0] if isinstance(result, tuple) else result
        known = [x for x in tree_leaves(args) if id(x) in self._tensors]
        if known and isinstance(output, Tensor):
            self._tensors[id(output)] = output, self._written(function, output, args, known)
        return result

    def _written(self, function: Any, output: Tensor, args: Any, known: list[Tensor]) -> int:
        name, reads = function.overloadpacket.__name__, tuple(map(self.number, known))
        storage = output.untyped_storage()._cdata
        if known[0].untyped_storage()._cdata == storage and output.numel() == known[0].numel():
            return reads[0]  # in place, or a view
        others = [x for x in tree_leaves(args) if id(x) not in self._tensors]
        has_weights = any(isinstance(x, Tensor) for x in others)
        call = "" if has_weights else f"{name} {(*output.shape[1:],)} {others}"
        if name == "zeros_like":  # it reads no numbers; named as by Value._step
            call, reads = f"{name} {(*output.shape[1:],)}", ()
        return self.tape.add(Step(call, reads, output.numel(), name in ELEMENTWISE))

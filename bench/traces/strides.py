"""The strides of the results of torch's kernels, from the shapes and strides of their inputs.

On meta tensors strides depend on each torch version's meta kernels and decompositions. The rules of real devices did
not change from torch 2.6 to 2.14; this module states them, naming the file where torch decides. The strides of a single
image can be channels-last by one rule and not by another, so each rule is a function.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.traces.events import Shape

Strides = tuple[int, ...]
#: Shape and strides of a tensor, in elements.
Layout = tuple[Shape, Strides]

#: Dimensions of (batch, channels, height, width) and (batch, channels, frames, height, width) in channels-last order,
#: from the innermost out.
_CHANNELS_LAST_ORDERS = {4: (1, 3, 2, 0), 5: (1, 4, 3, 2, 0)}
#: Only tensors of images have a shortcut of their own for channels-last operands.
_IMAGES = 4


def contiguous(shape: Shape) -> Strides:
    """The strides of a new contiguous tensor."""
    return _dense(shape, range(len(shape) - 1, -1, -1))


def channels_last(shape: Shape) -> Strides:
    """The strides of a new channels-last tensor of images or videos."""
    return _dense(shape, _CHANNELS_LAST_ORDERS[len(shape)])


def is_contiguous(layout: Layout) -> bool:
    """`Tensor.is_contiguous()`: the strides of dimensions of size 1 do not matter (c10/core/Contiguity.h)."""
    return _follows(layout, range(len(layout[0]) - 1, -1, -1))


def is_channels_last(layout: Layout) -> bool:
    """`Tensor.is_contiguous(memory_format=torch.channels_last)`, or `channels_last_3d` for videos: again dimensions of
    size 1 do not matter."""
    order = _CHANNELS_LAST_ORDERS.get(len(layout[0]))
    return order is not None and _follows(layout, order)


def suggests_channels_last(layout: Layout) -> bool:
    """Whether `Tensor.suggest_memory_format()` is channels-last (c10/core/MemoryFormat.h, is_channels_last_strides_2d
    and _3d).

    Unlike `is_channels_last`, it takes the stride of a batch of size 1 into account. Convolutions, upsampling, padding,
    and normalisation on the CPU follow this rule.
    """
    shape, strides = layout
    order = _CHANNELS_LAST_ORDERS.get(len(shape))
    if order is None or not strides[1]:
        return False
    least = 0
    for dimension in order:
        stride = strides[dimension]
        if not shape[dimension] or stride < least or (dimension == 0 and least == strides[1]):
            return False
        least = stride * max(shape[dimension], 1)
    return True


def suggested(shape: Shape, source: Layout) -> Strides:
    """The strides of a new tensor in the memory format that `source` suggests."""
    return channels_last(shape) if suggests_channels_last(source) else contiguous(shape)


def is_dense(layout: Layout) -> bool:
    """Whether the elements fill memory without gaps or overlaps, in any order (`is_non_overlapping_and_dense`)."""
    shape, strides = layout
    large = (dimension for dimension in range(len(shape)) if shape[dimension] > 1)
    order = sorted(large, key=lambda dimension: strides[dimension])
    return _follows(layout, order)


def preserved(layout: Layout) -> Strides:
    """The strides of `empty_like` and `clone` with torch.preserve_format."""
    return layout[1] if is_dense(layout) else elementwise((layout, ((), ())))


def concatenated(shape: Shape, parts: Sequence[Layout]) -> Strides:
    """The strides of `cat` (TensorShape.cpp, cat_compute_output_memory_format): channels-last if all parts are."""
    return channels_last(shape) if all(map(suggests_channels_last, parts)) else contiguous(shape)


def elementwise(operands: Sequence[Layout]) -> Strides:
    """The strides of an elementwise kernel's result (aten/src/ATen/TensorIterator.cpp).

    A Python number is an operand without dimensions, which rules out the shortcuts for operands of equal shape.
    """
    shape = broadcast([operand[0] for operand in operands])
    if all(operand[0] == shape for operand in operands):
        if all(map(is_contiguous, operands)):
            return contiguous(shape)
        if len(shape) == _IMAGES and all(map(is_channels_last, operands)):
            return channels_last(shape)
        if all(is_dense(operand) and operand[1] == operands[0][1] for operand in operands):
            return operands[0][1]
    return _dense(shape, _order(shape, [_expanded(operand, shape) for operand in operands]))


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """The shape to which these shapes broadcast."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(next((size for size in sizes if size != 1), 1) for sizes in zip(*padded, strict=True))


def _expanded(operand: Layout, shape: Shape) -> Strides:
    """An operand's strides in the broadcast shape; 0 in dimensions in which it is repeated."""
    sizes, strides = operand
    missing = len(shape) - len(sizes)
    repeated = (
        0 if size == 1 != whole else stride for size, stride, whole in zip(sizes, strides, shape[missing:], strict=True)
    )
    return (0,) * missing + tuple(repeated)


def _order(shape: Shape, operands: Sequence[Strides]) -> list[int]:
    """Dimensions from the innermost out, by an insertion sort in which some pairs have no order
    (TensorIterator::reorder_dimensions)."""
    order = list(range(len(shape) - 1, -1, -1))
    for start in range(1, len(order)):
        current = start
        for before in range(start - 1, -1, -1):
            compared = _compared(shape, operands, order[before], order[current])
            if compared < 0:
                break
            if compared > 0:
                order[before], order[current] = order[current], order[before]
                current = before
    return order


def _compared(shape: Shape, operands: Sequence[Strides], inner: int, outer: int) -> int:
    """-1 if the first operand that orders both dimensions has `inner` inside `outer`, 1 if outside, 0 if none does."""
    for strides in operands:
        if not strides[inner] or not strides[outer]:
            continue
        if strides[inner] != strides[outer]:
            return -1 if strides[inner] < strides[outer] else 1
        if shape[inner] > shape[outer]:
            return 1
    return 0


def _dense(shape: Shape, order: Sequence[int]) -> Strides:
    """Strides without gaps; `order` lists the dimensions from the innermost out."""
    strides, step = [0] * len(shape), 1
    for dimension in order:
        strides[dimension] = step
        step *= max(shape[dimension], 1)
    return tuple(strides)


def _follows(layout: Layout, order: Sequence[int]) -> bool:
    """Whether the strides equal `_dense` in this order, ignoring dimensions of size 1."""
    shape, strides = layout
    expected = 1
    for dimension in order:
        if shape[dimension] != 1 and strides[dimension] != expected:
            return False
        expected *= shape[dimension]
    return True

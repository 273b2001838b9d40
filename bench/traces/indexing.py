"""Calls with tensors of more elements than a signed 32-bit index reaches, as an untiled image of 4096x4096 has.

torch 2.13 runs them on CUDA. Its elementwise kernels split such tensors (TensorIterator, `with_32bit_indexing`), and
nearest upsampling has 64-bit indices (pytorch/pytorch pull requests 87901 and 141923). A convolution of a batch is
split by images (31379). That of one image goes to cuDNN from its version 9.3 on (134890, 153101), and before that to a
kernel that unfolds its input. Which kernels cuDNN takes for it, and how much workspace they need, nobody has published;
one was seen to ask for 110 GiB (issue 95024). So such a call is predicted like a smaller one, but with low confidence.
"""

from __future__ import annotations

#: The most elements that a signed 32-bit index reaches.
MOST_ELEMENTS = 2**31 - 1


def caveat(elements: int) -> str:
    """What is not known about a call whose largest tensor has this many elements; empty within 32-bit indices."""
    if elements <= MOST_ELEMENTS:
        return ""
    return (
        f"its largest tensor has {elements:,} elements, beyond 32-bit indices, where the workspaces of torch's kernels "
        "are not known"
    )

"""The predicted memory of a case on a card."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.core.work import Work
from bench.record.stored import Frozen

#: unsupported: torch has no kernels for the card, however much memory it has.
Verdict = Literal["fits", "tight", "out_of_memory", "unsupported"]
Confidence = Literal["high", "medium", "low"]
#: The source of the size of a convolution's workspace: measured on such a device (`bench calibrate`), fitted to the
#: docs' peaks for this precision and architecture, or neither.
WorkspaceSource = Literal["calibrated", "published", "rule"]
#: preferred: those that torch chooses while memory is free; low_workspace: slower ones that take less memory.
KernelChoice = Literal["preferred", "low_workspace"]
#: torch's caching allocator: native with its default settings, or with `expandable_segments:True`.
AllocatorKind = Literal["native", "expandable"]


class Prediction(Frozen):
    """A verdict and how sure it is. All bytes are of torch's pool, weights and input included, unless they say else."""

    verdict: Verdict = Field(
        description="tight: it runs, but only because torch empties its cache or takes low-workspace kernels, either "
        "of which may be slower; unsupported: the torch that is predicted for has no kernels for the card"
    )
    confidence: Confidence
    reason: str = Field(description="what the verdict rests on")
    kernels: KernelChoice | None = Field(
        None,
        description="the kernels that run on this card, which the verdict and the record's peaks are about; null "
        "if the case does not run, and in records that were written before this field",
    )
    workspaces: WorkspaceSource = Field(description="where the size of a convolution's workspace is from")
    allocator: AllocatorKind = Field(
        "native",
        description="torch's caching allocator that the prediction is for; expandable: with expandable_segments:True",
    )
    architecture: str | None = Field(description="of the card; null if only its memory is known")
    needed_allocated_bytes: int = Field(description="peak of live tensors with the leanest kernels, which take nothing")
    needed_reserved_bytes: int = Field(description="the same, as the allocator reserves it with memory to spare")
    taken_allocated_bytes: int = Field(description="peak with the kernels that are preferred while memory is free")
    taken_reserved_bytes: int = Field(description="the same, as the allocator reserves it with memory to spare")
    taken_low_bytes: int = Field(description="the band of taken_reserved_bytes: its lower end")
    taken_high_bytes: int = Field(description="and its upper end")
    reserved_low_bytes: int = Field(description="the band of what is reserved on this card: its lower end")
    reserved_high_bytes: int = Field(description="and its upper end")
    capacity_bytes: int = Field(description="what the pool may take on this card, by the middle of the context's range")
    context_low_bytes: int = Field(description="what the CUDA context takes besides, at the least")
    context_high_bytes: int = Field(description="and at the most")
    work: Work = Field(description="what one call computes and moves: what a model of its time is made of")

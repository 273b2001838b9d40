"""Which allocator the environment selects, as torch 2.13 reads its two variables."""

from __future__ import annotations

import pytest

from bench.vram import alloc_conf
from bench.vram.alloc_conf import AllocConf

CUDA, ANY = "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"


def test_without_a_variable_it_is_the_native_allocator() -> None:
    assert alloc_conf.read({"PATH": "expandable_segments:True"}) == AllocConf("native", None, ())


@pytest.mark.parametrize("name", [CUDA, ANY])
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("expandable_segments:True", "expandable"),
        (" expandable_segments : True , backend:native", "expandable"),
        ("expandable_segments:True,expandable_segments:False", "native"),
        ("expandable_segments:False", "native"),
        ("pinned_use_background_threads:True,expandable_segments:True", "expandable"),
        ("", "native"),
        (",", "native"),
    ],
)
def test_expandable_segments_select_the_expandable_allocator(name: str, value: str, kind: str) -> None:
    assert alloc_conf.read({name: value}) == AllocConf(kind, name, ())  # type: ignore[arg-type]


def test_of_both_variables_the_one_with_cuda_in_its_name_counts_even_if_it_is_empty() -> None:
    assert alloc_conf.read({ANY: "expandable_segments:True", CUDA: ""}) == AllocConf("native", CUDA, ())
    assert alloc_conf.read({ANY: "x:1", CUDA: "expandable_segments:True"}) == AllocConf("expandable", CUDA, ())


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ("backend:cudaMallocAsync", ("backend:cudaMallocAsync",)),
        ("max_split_size_mb:128,expandable_segments:True", ("max_split_size_mb:128",)),
        ("garbage_collection_threshold:0.8", ("garbage_collection_threshold:0.8",)),
        (
            "roundup_power2_divisions:[256:1,512:2,>:4],max_split_size_mb:64",
            ("roundup_power2_divisions:[256:1,512:2,>:4]", "max_split_size_mb:64"),
        ),
        ("expandable_segments:true", ("expandable_segments:true",)),  # torch refuses the lower case
        ("nonsense", ("nonsense",)),
    ],
)
def test_settings_that_are_not_modelled_are_kept_as_they_are_written(value: str, left: tuple[str, ...]) -> None:
    assert alloc_conf.read({CUDA: value}).not_modelled == left

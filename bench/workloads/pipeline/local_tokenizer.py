"""A small tokenizer for pipelines with random weights, made on this machine: not that of any model (torch).

It gives every word an id of a small vocabulary. What a pipeline computes does not depend on which ids it gets, only on
their number, so it splits the templates that pipelines put around prompts as their own tokenizers do.
"""

from __future__ import annotations

from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

#: The words of the prompts that are measured: short and common, one token each for any tokenizer.
WORDS = ("a", "cat", "and", "a", "dog", "on", "the", "red", "car", "by", "the", "blue", "sea", "at", "sun", "set")
_PADDING, _END, _UNKNOWN = "[PAD]", "[END]", "[UNK]"
#: Marks of templates that are one token each for the models that have them.
_MARKS = ("<|im_start|>", "<|im_end|>")


def prompt(words: int) -> str:
    """A prompt of so many words."""
    return " ".join(WORDS[place % len(WORDS)] for place in range(words))


def local_tokenizer(tokens: int) -> Any:
    """A tokenizer of transformers for prompts of at most so many tokens."""
    names = dict.fromkeys([_PADDING, _END, _UNKNOWN, *_MARKS, *WORDS])
    tokenizer = Tokenizer(models.WordLevel({name: place for place, name in enumerate(names)}, unk_token=_UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\n|\w+|[^\w\s]+| $"), behavior="removed", invert=True)
    tokenizer.add_special_tokens([AddedToken(mark, special=True) for mark in _MARKS])
    its_class: Any = PreTrainedTokenizerFast
    return its_class(
        tokenizer_object=tokenizer, pad_token=_PADDING, eos_token=_END, unk_token=_UNKNOWN, model_max_length=tokens
    )

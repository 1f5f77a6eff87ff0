"""Digests of networks and files: equal ones stand for the same content."""

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

import torch

__all__ = ["digest_files", "digest_tensors", "structure_of"]


def digest_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """Of names, types, shapes and every value, in hexadecimal; in whatever order they come."""
    digest = sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def digest_files(paths: Iterable[Path]) -> str:
    """Of the names and the content of `paths`, in hexadecimal."""
    digest = sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()


def structure_of(value: object) -> str:
    """`value` as it prints itself, but for where in memory its functions are."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))

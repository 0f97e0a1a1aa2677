"""Products of float32 matrices, whose factors may be rounded to bfloat16.

bfloat16 has float32's range and 8 of its 24 significant bits. A rounded product multiplies such
factors and adds in float32. On a GPU that sum is the result. torch 2.15 has no such product on a
CPU (`out_dtype` is not implemented there), so the finished sum is rounded once more, to bfloat16,
which moves an entry by at most 2^-8 of itself; a bias is added after that, in float32. A CPU is
faster at it where it has AVX512-BF16 or AMX.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def product(a: Tensor, b: Tensor, rounded: bool) -> Tensor:
    """a b, (N, K) x (K, M) -> (N, M)."""
    return _rounded(a, b) if rounded else a @ b


def affine(a: Tensor, b: Tensor, bias: Tensor, rounded: bool) -> Tensor:
    """a b + bias, (N, K) x (K, M) + (M,) -> (N, M)."""
    return _rounded(a, b) + bias if rounded else torch.addmm(bias, a, b)


def _rounded(a: Tensor, b: Tensor) -> Tensor:
    if torch.is_grad_enabled():
        return _Rounded.apply(a, b)  # pyright: ignore[reportReturnType]
    return _multiply(a.bfloat16(), b.bfloat16())  # without a record of it


class _Rounded(torch.autograd.Function):
    """A rounded product, whose derivatives are rounded products."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Any:
        a, b = (factor.bfloat16() for factor in given)
        ctx.save_for_backward(a, b)
        return _multiply(a, b)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *by: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        (a, b), of = ctx.saved_tensors, by[0].bfloat16()
        of_a = _multiply(of, b.T) if ctx.needs_input_grad[0] else None
        # Transposed, as b is the transpose of a layer's weights: else theirs would be copied.
        of_b = _multiply(of.T, a).T if ctx.needs_input_grad[1] else None
        return of_a, of_b


def _multiply(a: Tensor, b: Tensor) -> Tensor:
    """Of bfloat16 factors, in float32."""
    return torch.mm(a, b, out_dtype=torch.float32) if a.is_cuda else torch.mm(a, b).float()

"""CIFAR-10's pickled batches, read by a reader that can make nothing but plain values and arrays.

A pickle is a program: whoever wrote it may call any function of this machine's Python. The batches
(Krizhevsky 2009, written by Python 2) need three names of NumPy, a copy written by Python 3 also
one of codecs; `find_class` refuses every other, as Python's documentation of pickle shows. NumPy's
own objects would be too much: a pickle may set their state, flags of a dtype included. So classes
of ours stand in for them, which only remember, and an array is then made of the bytes themselves.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from typing import Any

import numpy as np

from ebmrepro.data.files import DataError
from ebmrepro.system.errors import brief, one_line

# Tuples that are no call's arguments. One inside another, each twice, they would take the age of
# the world to be compared or printed.
TUPLES = 16
Value = np.ndarray | list[int] | list[bytes] | bytes | int


def unpickle(name: str, content: bytes) -> dict[bytes, Value]:
    """The dictionary in a pickle: keys are bytes, values uint8 arrays, lists, bytes or integers.

    Raises:
        DataError: the pickle is damaged, asks for anything else, or holds anything else; names it.
    """
    try:
        # The reader in C takes memory for as many values as a memo's index says.
        tuples, made = 0, False  # whether one was made last
        for opcode, argument, _ in pickletools.genops(content):
            is_memo = opcode.name.endswith(("PUT", "MEMOIZE"))
            if is_memo and int(argument or 0) > len(content):
                raise DataError(f"it counts {brief(argument)} values")
            tuples -= made and opcode.name == "REDUCE"
            is_tuple = opcode.name.startswith(("TUPLE", "FROZENSET"))
            tuples, made = tuples + is_tuple, is_tuple or (made and is_memo)
        if tuples > TUPLES:
            raise DataError(f"found {tuples:,} tuples in it; a batch has at most {TUPLES}")
        tree = _Reader(io.BytesIO(content), encoding="bytes").load()
        if not isinstance(tree, dict):
            raise DataError(f"found {type(tree).__name__} in the pickle, expected a dict")
        return {key: _value(key, value) for key, value in tree.items()}
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    except Exception as error:  # whatever a damaged pickle makes of our stand-ins
        raise DataError(f"{name}: not a whole pickle: {one_line(error)}") from None


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in STAND_INS:
            asked = brief(f"{module}.{name}")
            raise DataError(f"the pickle asks for {asked}, which no batch of images needs")
        return STAND_INS[module, name]


class _StandIn:
    """An object that a pickle builds: it keeps what it is made of, and runs nothing."""

    __slots__ = ("arguments", "state")

    def __init__(self, *arguments: object):
        self.arguments, self.state = arguments, None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_StandIn):
    """Its state is (version, shape, dtype, whether in Fortran's order, bytes)."""

    __slots__ = ()

    def array(self) -> np.ndarray:
        if not isinstance(self.state, tuple) or len(self.state) != 5:
            raise DataError("an array without its content")
        _, shape, dtype, fortran, content = self.state
        if not isinstance(dtype, _DType) or dtype.arguments[0] not in (b"u1", "u1"):
            raise DataError("an array of something else than unsigned bytes")
        matrix = isinstance(shape, tuple) and len(shape) <= 2
        whole = matrix and all(type(n) is int and n >= 0 for n in shape)
        if not whole or not isinstance(content, bytes) or math.prod(shape) != len(content):
            raise DataError("an array whose shape is not its content's")
        return np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")


class _DType(_StandIn):
    """dtype(code, align, copy); its state says byte order and the like, which a byte has not."""

    __slots__ = ()


class _Encode(_StandIn):
    """_codecs.encode(text, "latin1"): how Python 3 writes bytes for Python 2."""

    __slots__ = ()

    def __new__(cls, text: str, encoding: object) -> Any:
        if encoding not in ("latin1", b"latin1"):
            raise DataError("the pickle asks for another encoding than latin1")
        return text.encode("latin1")


STAND_INS = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,  # the same, as NumPy 2 writes it
    ("numpy", "ndarray"): _StandIn,  # what is to be reconstructed
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _Encode,
}


def _value(key: object, value: object) -> Value:
    if not isinstance(key, bytes):
        raise DataError(f"found a key of {type(key).__name__} in the pickle, expected bytes")
    if isinstance(value, _Array):
        try:
            return value.array()
        except DataError as error:
            raise DataError(f"{brief(key)}: {error}") from None
    kinds = {type(item) for item in value} if isinstance(value, list) else {type(value)}
    if kinds <= {int} or kinds <= {bytes}:
        return value  # pyright: ignore[reportReturnType]
    raise DataError(f"{brief(key)}: found {type(value).__name__} in the pickle")

"""CIFAR-10's pickled batches, read by a reader that can make nothing but plain values and arrays.

A pickle is a program: whoever wrote it may call any function of this machine's Python. The batches
(Krizhevsky 2009, written by Python 2) need three names of NumPy, a copy written by Python 3 also
one of codecs. These are stood in for here by objects that only remember what they were given; an
array is then made of the bytes themselves.
Everything else is refused by name before anything runs.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from typing import Any

import numpy as np

from ebmrepro.data.files import DataError

Value = np.ndarray | list[int] | list[bytes] | bytes | int
RECONSTRUCT = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),  # the same, as NumPy 2 writes it
}
# Strings, numbers, lists, tuples, dicts, the memo, and calls of these names.
ALLOWED = re.compile(
    "PROTO|FRAME|STOP|MARK|POP|POP_MARK|DUP|GLOBAL|STACK_GLOBAL|REDUCE|BUILD|NONE|NEWTRUE|NEWFALSE"
    "|(INT|BININT|LONG|LIST|TUPLE|DICT|APPENDS?|SETITEMS?|MEMOIZE)[123]?|EMPTY_(LIST|TUPLE|DICT)"
    "|(SHORT_)?BIN(STRING|UNICODE|BYTES)|STRING|UNICODE|BINBYTES8|(LONG_)?(BIN)?(GET|PUT)"
)


def unpickle(name: str, content: bytes) -> dict[bytes, Value]:
    """The dictionary in a pickle: keys are bytes, values uint8 arrays, lists, bytes or integers.

    Raises:
        DataError: the pickle is damaged, asks for anything else, or holds anything else; names it.
    """
    _scan(name, content)
    try:
        found = _Reader(io.BytesIO(content), encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    except Exception as error:  # whatever a damaged pickle makes of our stand-ins
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{name}: not a whole pickle: {reason}") from None
    if not isinstance(found, dict):
        raise DataError(f"{name}: found {type(found).__name__} in the pickle, expected a dict")
    return {_key(name, key): _value(name, key, value) for key, value in found.items()}


def _scan(name: str, content: bytes) -> None:
    """Refuse what the reader never needs, such as a memo index that would take all memory."""
    try:
        for opcode, argument, place in pickletools.genops(content):
            if not ALLOWED.fullmatch(opcode.name):
                raise DataError(f"{name}: the pickle uses {opcode.name}, at byte {place}")
            if opcode.name.endswith("PUT") and int(argument or 0) > len(content):
                raise DataError(f"{name}: the pickle counts {argument} values, at byte {place}")
    except DataError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{name}: not a whole pickle: {reason}") from None


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in RECONSTRUCT:
            return _Reconstruct()
        if (module, name) == ("_codecs", "encode"):
            return _Encode()
        if module == "numpy" and name in ("ndarray", "dtype"):
            return _DType() if name == "dtype" else _NDARRAY
        raise DataError(f"the pickle asks for {module}.{name}, which no batch of images needs")


class _Remembered:
    """An object of NumPy's that a pickle builds: it keeps what it is given, and runs nothing."""

    __slots__ = ("given",)

    def __init__(self, given: object = None):
        self.given = given

    def __setstate__(self, state: object) -> None:
        self.given = state


class _Reconstruct(_Remembered):
    """numpy.core.multiarray._reconstruct(ndarray, (0,), b"b"): an array yet to be filled."""

    __slots__ = ()

    def __call__(self, kind: object, *_: object) -> _Array:
        if kind is not _NDARRAY:
            raise DataError("the pickle asks for an array that is not numpy.ndarray")
        return _Array()


class _Array(_Remembered):
    """Filled by its state: (version, shape, dtype, in Fortran's order, bytes)."""

    __slots__ = ()

    def array(self) -> np.ndarray:
        if not isinstance(self.given, tuple) or len(self.given) != 5:
            raise DataError("the pickle holds an array without its content")
        _, shape, dtype, fortran, content = self.given
        if not isinstance(dtype, _Type) or dtype.code not in (b"u1", "u1", b"|u1", "|u1"):
            raise DataError("the pickle holds an array of something else than unsigned bytes")
        whole = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
        if not whole or not isinstance(content, bytes) or math.prod(shape) != len(content):
            raise DataError(f"the pickle holds an array whose shape {shape!r} is not its content's")
        return np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")


class _Encode(_Remembered):
    """_codecs.encode(text, "latin1"): how Python 3 writes bytes for Python 2."""

    __slots__ = ()

    def __call__(self, text: str, encoding: str) -> bytes:
        if encoding not in ("latin1", b"latin1"):
            raise DataError(f"the pickle asks for the encoding {encoding!r}")
        return text.encode("latin1")


class _DType(_Remembered):
    """numpy.dtype(code, align, copy)."""

    __slots__ = ()

    def __call__(self, code: object, *_: object) -> _Type:
        return _Type(code)


class _Type(_Remembered):
    """A dtype; its state says byte order and the like, which a byte has not."""

    __slots__ = ("code",)

    def __init__(self, code: object):
        super().__init__()
        self.code = code


_NDARRAY = object()


def _key(name: str, key: object) -> bytes:
    if not isinstance(key, bytes):
        raise DataError(
            f"{name}: found a key of {type(key).__name__} in the pickle, expected bytes"
        )
    return key


def _value(name: str, key: bytes, value: object) -> Value:
    if isinstance(value, _Array):
        try:
            return value.array()
        except DataError as error:
            raise DataError(f"{name}: {key!r}: {error}") from None
    kinds = {type(item) for item in value} if isinstance(value, list) else {type(value)}
    if kinds <= {int} or kinds <= {bytes}:
        return value  # pyright: ignore[reportReturnType]
    raise DataError(f"{name}: {key!r}: found {type(value).__name__} in the pickle")

"""Columns shown to DuckDB through Arrow's C stream interface.

The interface is stable and needs no package: three structures in memory, and a Python capsule with
the last of them. See https://arrow.apache.org/docs/format/CStreamInterface.html. What is shown
must live until the statement that reads it has ended; `shown` sees to that.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from testlytics_collector.store.columns import Column, Piece, Table

if TYPE_CHECKING:
    import duckdb

_FORMATS = {"integer": b"i", "bigint": b"l", "double": b"g", "varchar": b"U"}
_SIZES = {"integer": 4, "bigint": 8, "double": 8}
_NULLABLE = 2


class _Schema(ctypes.Structure):
    pass


class _Array(ctypes.Structure):
    pass


class _Stream(ctypes.Structure):
    pass


_ReleaseSchema = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Schema))
_ReleaseArray = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Array))
_ReleaseStream = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Stream))
_GetSchema = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Stream), ctypes.POINTER(_Schema))
_GetNext = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Stream), ctypes.POINTER(_Array))
_GetLastError = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.POINTER(_Stream))

_Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_char_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_Schema))),
    ("dictionary", ctypes.POINTER(_Schema)),
    ("release", _ReleaseSchema),
    ("private_data", ctypes.c_void_p),
]
_Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))),
    ("dictionary", ctypes.POINTER(_Array)),
    ("release", _ReleaseArray),
    ("private_data", ctypes.c_void_p),
]
_Stream._fields_ = [
    ("get_schema", _GetSchema),
    ("get_next", _GetNext),
    ("get_last_error", _GetLastError),
    ("release", _ReleaseStream),
    ("private_data", ctypes.c_void_p),
]

# Who reads it sets `release` to null when done. There is nothing to free: Python owns the memory.


def _let_go(held: Any) -> None:  # noqa: ANN401 - a pointer of ctypes
    held.contents.release = type(held.contents.release)()


_release_schema = _ReleaseSchema(_let_go)
_release_array = _ReleaseArray(_let_go)
_release_stream = _ReleaseStream(_let_go)
_last_error = _GetLastError(lambda _: None)


@contextlib.contextmanager
def shown(connection: duckdb.DuckDBPyConnection, tables: dict[str, Table]) -> Iterator[None]:
    """Let SQL read tables under their names while the block runs."""
    import duckdb

    for name, table in tables.items():
        connection.register(name, _Shown(table))
    try:
        yield
    finally:
        for name in tables:
            with contextlib.suppress(duckdb.Error):  # a failed transaction takes them along
                connection.unregister(name)


class _Shown:
    """A table as DuckDB looks at it: each scan gets a stream of its own."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._names = table.names
        self._held: list[object] = []

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return a capsule with a stream of the table's pieces."""
        pieces = iter(self._table.pieces)

        def get_schema(_: object, out: Any) -> int:  # noqa: ANN401
            self._fill_schema(out.contents)
            return 0

        def get_next(_: object, out: Any) -> int:  # noqa: ANN401
            piece = next(pieces, None)
            if piece is None:
                out.contents.release = _ReleaseArray()
            else:
                self._fill_array(out.contents, piece)
            return 0

        stream = _Stream()
        stream.get_schema, stream.get_next = _GetSchema(get_schema), _GetNext(get_next)
        stream.get_last_error, stream.release = _last_error, _release_stream
        self._held.append(stream)
        make = ctypes.pythonapi.PyCapsule_New
        make.restype = ctypes.py_object
        make.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        capsule: object = make(ctypes.addressof(stream), b"arrow_array_stream", None)
        return capsule

    def _fill_schema(self, schema: Any) -> None:  # noqa: ANN401
        children = []
        for name in self._names:
            child = _Schema()
            child.format, child.name = _FORMATS[self._table.kinds[name]], name.encode()
            child.flags, child.release = _NULLABLE, _release_schema
            children.append(ctypes.pointer(child))
        held = (ctypes.POINTER(_Schema) * len(children))(*children)
        self._held.append((held, children))
        schema.format, schema.name, schema.metadata, schema.flags = b"+s", b"", None, 0
        schema.n_children, schema.children, schema.dictionary = len(children), held, None
        schema.release = _release_schema

    def _fill_array(self, rows: Any, piece: Piece) -> None:  # noqa: ANN401
        children = []
        for name in self._names:
            kind = self._table.kinds[name]
            child = _Array()
            given = piece.columns.get(name) or _nulls(kind, piece.length)
            parts = (given.valid, given.ends, given.data) if kind == "varchar" else given[::2]
            buffers = (ctypes.c_void_p * len(parts))(*map(_address, parts))
            self._held.append((given, buffers))
            child.length, child.offset = piece.length, 0
            child.null_count = -1 if given.valid else 0
            child.n_buffers, child.buffers = len(parts), buffers
            child.release = _release_array
            children.append(ctypes.pointer(child))
        held = (ctypes.POINTER(_Array) * len(children))(*children)
        none = (ctypes.c_void_p * 1)(None)
        self._held.append((held, children, none))
        rows.length, rows.null_count, rows.offset = piece.length, 0, 0
        rows.n_buffers, rows.buffers = 1, none
        rows.n_children, rows.children, rows.dictionary = len(children), held, None
        rows.release = _release_array


def _address(part: bytes) -> int | None:
    return ctypes.cast(ctypes.c_char_p(part), ctypes.c_void_p).value if part else None


def _nulls(kind: str, length: int) -> Column:
    if kind == "varchar":
        return Column(bytes((length + 7) // 8), bytes(8 * (length + 1)), b"")
    return Column(bytes((length + 7) // 8), b"", bytes(_SIZES[kind] * length))

"""Columns: many things of one kind as numpy arrays of one length.

A subclass is a frozen dataclass whose fields are all declared with `column(dtype, *shape)`; the shape
is that of one row. Rows are chosen, joined and created here, once, for every such type.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

_EMPTY: dict[type, Any] = {}


def column(dtype: Any, *shape: int) -> Any:
    """A dataclass field that holds one array of n rows, each of `dtype` and `shape`."""
    return field(metadata={"dtype": np.dtype(dtype), "shape": shape})


@dataclass(frozen=True, eq=False)
class Columns:
    """The base of all column types. Every field is an array with the same first length."""

    def __post_init__(self) -> None:
        if len(set(map(len, vars(self).values()))) > 1:
            lengths = {name: len(a) for name, a in self.arrays().items()}
            raise ValueError(f"The columns of {type(self).__name__} differ in length: {lengths}.")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """By name, in the order of declaration."""
        return {f: getattr(self, f) for f in self.__dataclass_fields__} if "_chosen" in vars(self) else vars(self)

    def __len__(self) -> int:
        chosen = vars(self).get("_chosen")
        return len(chosen[1]) if chosen else len(next(iter(vars(self).values())))

    if not TYPE_CHECKING:  # for mypy, the columns that a type declares are all that it has

        def __getattr__(self, name: str) -> NDArray[Any]:
            """A column of rows that `chosen` chose, the first time it is asked for."""
            chosen = vars(self).get("_chosen")
            if chosen is None or name not in self.__dataclass_fields__:
                raise AttributeError(f"{type(self).__name__} has no {name}.")
            vars(self)[name] = column = getattr(chosen[0], name)[chosen[1]]
            return column

    def take(self, rows: Any) -> Self:
        """The rows chosen by a mask, an index array or a slice."""
        if isinstance(rows, np.ndarray) and rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)  # once, and not once per column
        return self._of({name: a[rows] for name, a in self.arrays().items()})

    def chosen(self, rows: NDArray[Any]) -> Self:
        """The rows chosen by a mask or an index array, each column taken when it is first asked for.

        For rows of which few columns are needed. They hold on to these here, so what is kept is made by `take`.
        """
        made = object.__new__(type(self))
        vars(made)["_chosen"] = (self, np.flatnonzero(rows) if rows.dtype == np.bool_ else rows)
        return made

    def put(self, rows: Any, other: Self) -> Self:
        """A copy whose `rows` are those of `other`."""
        changed = {name: a.copy() for name, a in self.arrays().items()}
        for name, a in other.arrays().items():
            changed[name][rows] = a
        return self._of(changed)

    def but(self, **changed: NDArray[Any]) -> Self:
        """The same rows with some columns exchanged."""
        count = len(self)
        for name, a in changed.items():
            if name not in self.__dataclass_fields__ or len(a) != count:
                raise ValueError(f"{type(self).__name__} has {count} rows, and no column {name} of {len(a)}.")
        return self._of(self.arrays() | changed)

    @classmethod
    def none(cls) -> Self:
        """No rows. Values never change, so there is one for each type."""
        if cls not in _EMPTY:
            _EMPTY[cls] = cls.blank(0)
        empty: Self = _EMPTY[cls]
        return empty

    @classmethod
    def blank(cls, n: int) -> Self:
        """n rows of zeros."""
        return cls._of({f.name: np.zeros((n, *f.metadata["shape"]), f.metadata["dtype"]) for f in fields(cls)})

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The rows of all parts, in order."""
        parts = [p for p in parts if len(p)]
        if not parts:
            return cls.none()
        if len(parts) == 1:
            return parts[0]
        arrays = [p.arrays() for p in parts]
        return cls._of({name: np.concatenate([a[name] for a in arrays]) for name in arrays[0]})

    @classmethod
    def _of(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """From arrays that are known to be of one length: what is made many times a scan need not be checked again."""
        made = object.__new__(cls)
        vars(made).update(arrays)
        return made

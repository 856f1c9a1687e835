"""Apache Parquet tables through pyarrow: rows are timesteps, columns are features."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rnnscope.errors import InputError
from rnnscope.files.arrays.stored_array import LoadedArray, StoredArray
from rnnscope.files.guarding.limits import Unpacking

MAGIC = b"PAR1"


class ParquetFile:
    """One table of numbers: its columns, in their order, become the last axis."""

    kind = "parquet"
    names: tuple[str, ...] = ("",)

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow.parquet
        except ImportError as error:
            raise InputError(
                "A .parquet file is read by pyarrow, which is not installed.",
                where=path,
                expected="pyarrow",
                found="no pyarrow",
                hint="pip install 'rnnscope[parquet]', or save the array with numpy.save",
            ) from error
        self.path, self._parquet = path, pyarrow.parquet

    def array(self, name: str) -> StoredArray:  # noqa: ARG002  # a file of one array
        """The table as (row, column), float64 where its columns are of several types.

        Raises
        ------
        InputError
            A column holds no numbers, or the file is damaged.
        """
        try:
            with self._parquet.ParquetFile(self.path) as file:
                told = file.metadata
                counted = Unpacking(self.path, self.path.stat().st_size, InputError)
                counted.take(told.num_rows * told.num_columns * 8, "table")
                table = file.read()
        except InputError:
            raise
        except Exception as error:  # pyarrow's errors have no common base
            raise InputError(
                "The .parquet file cannot be read.",
                where=self.path,
                expected="a whole Parquet file",
                found=str(error).splitlines()[0],
                hint="save it again",
            ) from error
        columns = {field: column.to_numpy() for field, column in zip(
            table.column_names, table.columns, strict=True)}  # fmt: skip
        for field, values in columns.items():
            if values.dtype.kind not in "fiub":
                raise InputError(
                    "A column of the table holds no numbers.",
                    where=f"{self.path}, column {field}",
                    expected="columns of numbers: rows are timesteps, columns are features",
                    found=str(table.schema.field(field).type),
                    hint="leave the column out",
                )
        return LoadedArray(np.stack(list(columns.values()), axis=1))

    def close(self) -> None:
        """Nothing is held open."""

"""CSV traces: a header names the columns in any order; without one the count of columns tells what they are.

Without a header, one column is the key, two are time and key, three add the size, and four the op. The separator
is a comma, a tab, a semicolon or a bar, whichever of them comes first in this order and occurs in the first line.
"""

from __future__ import annotations

import csv
from io import BytesIO, StringIO
from itertools import islice
from pathlib import Path
from typing import Final

from forecache.errors import TraceFormatError
from forecache.extras import TRACES, extra
from forecache.record.formats import stem
from forecache.record.formats.columns import accesses, canonical, choose
from forecache.record.formats.content import utf8
from forecache.record.trace import Op, Trace

with extra(TRACES):
    import polars as pl

__all__ = ["decode", "encode", "fields"]

SEPARATORS: Final = (",", "\t", ";", "|")
WITHOUT_HEADER: Final = {1: ("key",), 2: ("time", "key"), 3: ("time", "key", "size"), 4: ("time", "key", "size", "op")}


def fields(line: str) -> tuple[list[str], str]:
    """Fields of a line, and what separates them."""
    separator = next((mark for mark in SEPARATORS if mark in line), ",")
    try:
        return next(csv.reader([line], delimiter=separator), []), separator
    except csv.Error:  # a field above csv.field_size_limit()
        return line.split(separator), separator


def decode(data: bytes, path: Path) -> Trace:
    """The trace in a CSV file; lines without any value are passed over.

    Raises:
        TraceFormatError: a line has another number of fields, or a field is not what its column holds.
    """
    text = utf8(data, path)
    names, separator = fields(text.partition("\n")[0].rstrip("\r"))
    header = any(canonical(name) for name in names)
    if header:
        chosen = choose(names, f"{path}, line 1")
    elif len(names) in WITHOUT_HEADER:
        chosen = {column: position for position, column in enumerate(WITHOUT_HEADER[len(names)])}
    else:
        raise TraceFormatError(
            f"{path}, line 1: {len(names)} fields and no header; expected a header with time, key, size, op, "
            "or at most these four columns; add a header"
        )
    assumed = "" if header else f" (no header: columns taken for {','.join(chosen)})"
    table = _table(text, path, separator, len(names), header)
    columns = accesses(
        table.select(pl.col(f"{position}").alias(column) for column, position in chosen.items()),
        lambda row: f"{path}, line {_line(text, separator, (row or 0) + header)}{assumed}",
    )
    return Trace.from_columns(**columns, name=stem(path), metadata={"note": assumed.strip(" ()")} if assumed else {})


def _table(text: str, path: Path, separator: str, width: int, header: bool) -> pl.DataFrame:
    """Fields as text in columns "0", "1" and so on, without the header and the blank lines."""
    schema = {f"{position}": pl.String for position in range(width)}
    try:
        table = pl.read_csv(
            text.encode(),
            has_header=False,
            schema=schema,
            separator=separator,
            skip_lines=int(header),
            raise_if_empty=False,
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        _refuse_misfits(text, path, separator, width)
        first = (str(error).splitlines() or ["no reason given"])[0]
        raise TraceFormatError(f"{path}: not readable as CSV ({first}); check its quotes and separators") from error
    if any(table.null_count().row(0)):
        table = table.filter(~pl.all_horizontal(pl.all().is_null()))
    if table[f"{width - 1}"].null_count():
        _refuse_misfits(text, path, separator, width)
    return table


def _refuse_misfits(text: str, path: Path, separator: str, width: int) -> None:
    """Raises for the first line that has not `width` fields; the slow way, once the fast reader has stumbled."""
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator)
    try:
        for row in reader:
            if any(row) and len(row) != width:
                raise TraceFormatError(
                    f"{path}, line {reader.line_num}: {len(row)} fields; expected {width} as in line 1; "
                    "put fields that hold the separator in double quotes"
                )
    except csv.Error as error:
        raise TraceFormatError(f"{path}, line {reader.line_num}: not readable as CSV ({error})") from error


def _line(text: str, separator: str, row: int) -> int:
    """Number of the line on which a row ends, counted as `_table` counts: without blank lines."""
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator)
    try:
        return next(islice((reader.line_num for values in reader if any(values)), row, None), row + 1)
    except csv.Error:  # a field above csv.field_size_limit()
        return row + 1


def encode(trace: Trace) -> bytes:
    """A CSV file of the four columns, with a header."""
    op = pl.Series("op", trace.op).replace_strict({int(op): op.name.lower() for op in Op}, return_dtype=pl.String)
    file = BytesIO()
    pl.DataFrame({"time": trace.time, "key": trace.key, "size": trace.size}).with_columns(op).write_csv(file)
    return file.getvalue()

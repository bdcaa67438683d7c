"""Laws of trace files: what is written is read, what is damaged is refused, and nothing else happens."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import zstandard
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from forecache.errors import EmptyTraceError, ForecacheError, TraceError, TraceFormatError
from forecache.record.formats import FORMATS
from forecache.record.formats.columns import hash64
from forecache.record.trace import Op, Trace

in_a_directory = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

KEPT = {
    "t.parquet": ("time", "key", "size", "op"),
    "t.csv": ("time", "key", "size", "op"),
    "t.csv.zst": ("time", "key", "size", "op"),
    "t.oracleGeneral": ("time", "key", "size"),
    "t.oracleGeneral.bin.zst": ("time", "key", "size"),
    "t.txt": ("key",),
    "t.keys.zst": ("key",),
}


def same(one: Trace, other: Trace, columns: tuple[str, ...]) -> bool:
    return all(np.array_equal(getattr(one, column), getattr(other, column)) for column in columns)


def fits_32_bits(trace: Trace) -> bool:
    return bool(trace.time.min() >= 0 and max(trace.time.max(), trace.size.max()) < 2**32)


def read_bytes(directory: Path, name: str, data: bytes, format: str | None = None) -> Trace:
    path = directory / name
    path.write_bytes(data)
    return Trace.read(path, format)


@pytest.mark.parametrize("name", KEPT)
@in_a_directory
@given(trace=st.from_type(Trace))
def test_what_is_written_is_read(tmp_path: Path, name: str, trace: Trace) -> None:
    assume("oracle" not in name or fits_32_bits(trace))
    trace.write(tmp_path / name)
    assert same(Trace.read(tmp_path / name), trace, KEPT[name])


@in_a_directory
@given(trace=st.from_type(Trace))
def test_parquet_keeps_name_and_metadata(tmp_path: Path, trace: Trace) -> None:
    trace.write(tmp_path / "t.parquet")
    read = Trace.read(tmp_path / "t.parquet")
    assert (read.name, read.metadata) == (trace.name, trace.metadata)


@in_a_directory
@given(trace=st.from_type(Trace))
def test_the_content_tells_a_format_whose_suffix_is_lost(tmp_path: Path, trace: Trace) -> None:
    ordered = Trace.from_columns(trace.key, size=trace.size % 2**31 + 1, op=trace.op)
    for name in ("t.parquet", "t.csv.zst", "t.oracleGeneral", "t.oracleGeneral.zst", "t.txt"):
        ordered.write(tmp_path / name)
        (tmp_path / name).replace(tmp_path / "lost")
        assert same(Trace.read(tmp_path / "lost"), ordered, KEPT.get(name, ("time", "key", "size"))), name


@in_a_directory
@given(trace=st.from_type(Trace))
def test_oracle_general_holds_the_next_access_counted_from_one(tmp_path: Path, trace: Trace) -> None:
    assume(fits_32_bits(trace))
    trace.write(tmp_path / "t.oracleGeneral")
    keys = trace.key.tolist()
    for index, record in enumerate(struct.iter_unpack("<IQIq", (tmp_path / "t.oracleGeneral").read_bytes())):
        later = [position for position, key in enumerate(keys, 1) if key == keys[index] and position > index + 1]
        assert record[3] == min(later, default=-1)


@in_a_directory
@given(lines=st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 5), st.integers(0, 9)), min_size=1))
def test_arc_lines_are_accesses_to_each_of_their_blocks(tmp_path: Path, lines: list[tuple[int, int, int]]) -> None:
    expected = [(start + offset, request) for start, count, request in lines for offset in range(count)]
    assume(expected)
    data = "".join(f"{start} {count} 0 {request}\n" for start, count, request in lines).encode()
    for name in ("t.lis", "t"):
        trace = read_bytes(tmp_path, name, data)
        assert list(zip(trace.key.tolist(), trace.time.tolist(), strict=True)) == expected


@in_a_directory
@given(keys=st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1), min_size=1))
def test_text_keys_are_one_key_exactly_if_their_texts_are(tmp_path: Path, keys: list[str]) -> None:
    read = read_bytes(tmp_path, "t.txt", "\n".join(keys).encode(), "text").key.tolist()
    assert len(set(zip(read, keys, strict=True))) == len(set(read)) == len(set(keys))


def test_the_hash_of_text_keys_is_stable() -> None:
    assert hash64("user:1") == 1304368944307141588


@pytest.mark.parametrize("separator", [",", ", ", "\t", ";", "|"])
@pytest.mark.parametrize("header", ["Time{0}Object Size{0}obj_id{0}flags", "# ts{0}bytes{0}url{0}next"])
def test_a_csv_header_may_name_columns_in_any_order(tmp_path: Path, header: str, separator: str) -> None:
    lines = [header.format(separator), separator.join(["5", "100", "7", ""]), separator.join(["6", "0", "8", "x"])]
    trace = read_bytes(tmp_path, "t.csv", "\r\n".join(lines).encode("utf-8-sig"))
    assert (trace.time.tolist(), trace.key.tolist(), trace.size.tolist()) == ([5, 6], [7, 8], [100, 1])


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        ("7", {"key": 7}),
        ("5,7", {"time": 5, "key": 7}),
        ("5,7,9", {"time": 5, "key": 7, "size": 9}),
        ("5,7,9,SET", {"time": 5, "key": 7, "size": 9, "op": Op.SET}),
    ],
)
def test_without_a_header_the_count_of_columns_tells_them(tmp_path: Path, line: str, columns: dict[str, int]) -> None:
    trace = read_bytes(tmp_path, "t.csv", f"{line}\n\n{line}\n".encode())
    assert {column: getattr(trace, column).tolist() for column in columns} == {k: [v, v] for k, v in columns.items()}
    assert ",".join(columns) in trace.metadata["note"]


def test_compressed_frames_follow_each_other(tmp_path: Path) -> None:
    frames = b"".join(map(zstandard.compress, (b"time,k", b"ey\n5,", b"7\n")))
    assert read_bytes(tmp_path, "t.csv.zst", frames).key.tolist() == [7]


def test_negative_keys_keep_their_bits_and_zero_padded_keys_are_text(tmp_path: Path) -> None:
    assert read_bytes(tmp_path, "t.txt", b"-1\n1\n").key.tolist() == [2**64 - 1, 1]
    assert read_bytes(tmp_path, "t.txt", b"007\n7\n").key.tolist() == [hash64("007"), hash64("7")]


def parquet(**columns: object) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(columns).write_parquet(file)
    return file.getvalue()


def test_a_parquet_file_needs_only_the_key(tmp_path: Path) -> None:
    trace = read_bytes(tmp_path, "t.parquet", parquet(url=["a", "b"]))
    assert (trace.key.tolist(), trace.time.tolist(), trace.name) == ([hash64("a"), hash64("b")], [0, 1], "t")


BAD = {
    "cut.oracleGeneral": (b"x" * 25, "25 bytes are 1 records and 1 bytes"),
    "bad.oracleGeneral.zst": (b"\x28\xb5\x2f\xfd\x20\x01\x07\x00\x00", "zstd compression is damaged"),
    "cut.oracleGeneral.zst": (zstandard.compress(b"x" * 240)[:-2], "ends within a frame"),
    "cut.parquet": (parquet(key=[1])[:-9], "not readable as Parquet"),
    "keyless.parquet": (parquet(time=[1], user=[2]), "no column holds the key; found 'time', 'user'"),
    "float.parquet": (parquet(key=[0.5]), ": key is of type Float64"),
    "bool.parquet": (parquet(key=[1], size=[True]), "size is of type Boolean"),
    "op.parquet": (parquet(key=[1], op=[1]), "op is of type Int64"),
    "null.parquet": (parquet(key=[1, None]), "row 1: key is missing"),
    "negative.parquet": (parquet(key=[1], size=[-4]), "row 0: size -4 is negative"),
    "negative.csv": (b"key,size\n1,1\n1,-4\n", "line 3: size -4 is negative"),
    "more.csv": (b"key,size\n1,1\n1,2,3\n", "line 3: 3 fields; expected 2"),
    "fewer.csv": (b"key,size\n1,1\n\n1\n", "line 4: 1 fields; expected 2"),
    "quoted.csv": (b'key,size\n"a\nb",1\nc,x\n', "line 4: size 'x' is not a whole number"),
    "long.csv": (b"key,size\n%b,1\n1,x\n" % (b"k" * 200_000), "line 3: size 'x'"),
    "missing.csv": (b"key,size\n,1\n", "line 2: key is missing"),
    "fraction.csv": (b"time,key\n0.5,1\n", "line 2: time '0.5' is not a whole number"),
    "op.csv": (b"key,op\n1,get\n1,delete\n", "line 3: op 'delete' is unknown"),
    "nameless.csv": (b"when,what\n1,2\n", "line 1 .*taken for time,key.*'when'"),
    "twice.csv": (b"id,url\n1,2\n", "'id' and 'url' could both be the key"),
    "keyless.csv": (b"time,size\n1,2\n", "no column holds the key"),
    "wide.csv": (b"1,2,3,4,5\n", "5 fields and no header"),
    "latin.csv": ("key\nä".encode("latin-1"), "line 2: byte 0xe4 is not UTF-8"),
    "short.lis": (b"1 2 0 1\n1 2 0\n", "line 2: '1 2 0'; expected four integers"),
    "huge.lis": (b"1 99999999 0 1\n", "count at most"),
    "latin.txt": (b"a\n\xe4\n", "line 2: byte 0xe4 is not UTF-8"),
    "unknown.bin": (b"a b c\n", "say it with format="),
}


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_file_is_named_with_what_was_found(tmp_path: Path, name: str) -> None:
    data, found = BAD[name]
    with pytest.raises(TraceFormatError, match=f"(?s){name}.*{found}"):
        read_bytes(tmp_path, name, data)


@pytest.mark.parametrize("name", [*KEPT, "t.lis", "t"])
@pytest.mark.parametrize("data", [b"", b"\n \n"])
def test_a_file_without_content_is_an_empty_trace(tmp_path: Path, name: str, data: bytes) -> None:
    with pytest.raises(EmptyTraceError, match="at least one access"):
        read_bytes(tmp_path, name, data)


@pytest.mark.parametrize(
    ("name", "data"), [("t.csv", b"time,key\n"), ("t.lis", b"1 0 0 1"), ("t.parquet", parquet(key=[]))]
)
def test_a_file_without_accesses_is_an_empty_trace(tmp_path: Path, name: str, data: bytes) -> None:
    with pytest.raises(TraceError, match=r"no access|type Null"):
        read_bytes(tmp_path, name, data)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceFormatError, match="no such file"):
        Trace.read(tmp_path / "absent.csv")
    with pytest.raises(TraceFormatError, match="is a directory"):
        Trace.read(tmp_path)
    with pytest.raises(TraceFormatError, match="expected one of parquet, csv"):
        read_bytes(tmp_path, "t.csv", b"1", "avro")


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    trace = Trace.from_columns([1], time=[-1])
    for name, wrong in {"t.lis": "suffix", "t": "suffix", "no/t.csv": "written", "t.oracleGeneral": "32|shift"}.items():
        with pytest.raises(TraceFormatError, match=wrong):
            trace.write(tmp_path / name)
    with pytest.raises(EmptyTraceError, match="no access to write"):
        trace.head(0).write(tmp_path / "t.csv")


@pytest.mark.parametrize("format", [*FORMATS, None])
@in_a_directory
@given(data=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
def test_arbitrary_bytes_raise_nothing_foreign(tmp_path: Path, format: str | None, data: bytes) -> None:
    for content in (data, zstandard.compress(data)):
        try:
            assert len(read_bytes(tmp_path, "t", content, format)) > 0
        except ForecacheError as error:
            assert str(tmp_path) in str(error)


def read_or_refuse(directory: Path, name: str, data: bytes) -> None:
    try:
        read_bytes(directory, name, data)
    except ForecacheError as error:
        assert name in str(error)


@pytest.mark.parametrize("name", ["t.parquet", "t.oracleGeneral.zst", "t.csv.zst"])
@in_a_directory
@given(trace=st.from_type(Trace), share=st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_refused(tmp_path: Path, name: str, trace: Trace, share: float) -> None:
    assume("oracle" not in name or fits_32_bits(trace))
    trace.write(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    with pytest.raises(TraceError, match=name):
        read_bytes(tmp_path, name, data[: int(share * len(data))])


@in_a_directory
@given(trace=st.from_type(Trace), share=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_a_damaged_byte_raises_nothing_foreign(tmp_path: Path, trace: Trace, share: float, byte: int) -> None:
    ordered = Trace.from_columns(trace.key, op=trace.op)
    for name in ("t.oracleGeneral", "t.oracleGeneral.zst", "t.csv", "t.csv.zst", "t.txt", "t.parquet"):
        ordered.write(tmp_path / name)
        data = bytearray((tmp_path / name).read_bytes())
        # Of Parquet only the footer: polars aborts the process on some damaged pages, which nobody can catch.
        footer = int.from_bytes(data[-8:-4], "little") + 8
        start = len(data) - footer if name == "t.parquet" else 0
        data[start + int(share * (len(data) - start))] = byte
        read_or_refuse(tmp_path, name, bytes(data))

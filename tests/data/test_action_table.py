"""Tables of actions as people have them: every encoding, separator and column that is none, or the row at fault."""

import json
import sys

import numpy as np
import pytest

from worldling.data.action_table import read_table
from worldling.errors import DataError

PLAIN = [[0.0, 0.5], [0.25, 0.5], [-1.5, 2.0]]
BODY = "0.0,0.5\n0.25,0.5\n-1.5,2.0\n"


def table(tmp_path, content, name="a.csv", encoding="utf-8"):
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return read_table(file)


@pytest.mark.parametrize(
    "text, encoding",
    [
        (BODY, "utf-8"),
        (BODY, "utf-8-sig"),
        (BODY, "utf-16"),
        (BODY.replace("\n", "\r\n"), "utf-8-sig"),
        (BODY.replace(",", ";"), "utf-8"),
        (BODY.replace(",", ";").replace(".", ","), "utf-8-sig"),
        (BODY.replace(",", "\t"), "utf-8"),
        (BODY.replace(",", "   "), "utf-8"),
        (BODY.replace(",", ", "), "utf-8"),
        (BODY.replace("\n", ",\n"), "utf-8"),
        ("# recorded on the bench\n\n" + BODY, "utf-8"),
        ("# Prüfstand\n" + BODY, "latin-1"),
        ('"0.0","0.5"\n"0.25","0.5"\n"-1.5","2.0"\n', "utf-8"),
    ],
)
def test_the_same_numbers_come_of_every_way_of_writing_them(tmp_path, text, encoding):
    read = table(tmp_path, text, encoding=encoding)
    assert read.values.tolist() == PLAIN and read.names == () and read.notes == ()


@pytest.mark.parametrize(
    "header, encoding", [("x,y\n", "utf-8"), ("x,y\n", "utf-8-sig"), ('"x", "y"\n', "utf-8"), ("x,y\n", "utf-16")]
)
def test_names_are_read_without_a_byte_order_mark(tmp_path, header, encoding):
    read = table(tmp_path, header + BODY, encoding=encoding)
    assert read.names == ("x", "y") and read.values.tolist() == PLAIN


@pytest.mark.parametrize(
    "text, names, left",
    [
        (",x,y\n0,0.0,0.5\n1,0.25,0.5\n2,-1.5,2.0\n", ("x", "y"), "number 1"),
        ("frame,x,y\n1,0.0,0.5\n2,0.25,0.5\n3,-1.5,2.0\n", ("x", "y"), "frame"),
        ("x,y,timestamp\n0.0,0.5,0.1\n0.25,0.5,0.2\n-1.5,2.0,0.35\n", ("x", "y"), "timestamp"),
        ("0,0.0,0.5\n1,0.25,0.5\n2,-1.5,2.0\n", (), "number 1"),
        (",0,1\n0,0.0,0.5\n1,0.25,0.5\n2,-1.5,2.0\n", (), "number 1"),
    ],
)
def test_columns_that_count_or_tell_the_time_are_left_out_and_told(tmp_path, text, names, left):
    read = table(tmp_path, text)
    assert read.values.tolist() == PLAIN and read.names == names
    assert len(read.notes) == 1 and f"a.csv: column {left}" in read.notes[0] and "left out" in read.notes[0]


def test_a_column_called_action_is_the_only_one(tmp_path):
    read = table(tmp_path, "frame,action,reward\n0,2,0.5\n1,0,1\n2,1,0\n")
    assert read.values.tolist() == [2, 0, 1] and read.values.dtype == np.int64
    assert "frame, reward are no actions" in read.notes[0]


def test_a_column_of_numbers_that_rise_but_are_named_is_an_action(tmp_path):
    read = table(tmp_path, "x,y\n0,5\n1,5\n2,7\n")
    assert read.values.tolist() == [[0, 5], [1, 5], [2, 7]] and read.notes == ()


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("a.csv", "left\nright\nleft\n", ["left", "right", "left"]),
        ("a.csv", "key\nleft\nright\n", ["left", "right"]),
        ("a.CSV", "\ufeffkey\nleft\nright\n", ["left", "right"]),
        ("a.csv", "frame,action\n0,left\n1,none\n", ["left", "none"]),
        ("a.json", json.dumps(["left", "right"]), ["left", "right"]),
        ("a.json", json.dumps({"actions": ["up", "up"]}), ["up", "up"]),
    ],
)
def test_words_stand_for_choices(tmp_path, name, text, words):
    assert table(tmp_path, text, name).values.tolist() == words


def test_true_and_false_are_switches(tmp_path):
    assert table(tmp_path, "fire,jump\nTrue,False\nfalse,TRUE\n").values.tolist() == [[1, 0], [0, 1]]
    assert table(tmp_path, json.dumps([True, False]), "a.json").values.tolist() == [1, 0]
    np.save(tmp_path / "b.npy", np.array([True, False]))
    assert read_table(tmp_path / "b.npy").values.tolist() == [1, 0]


@pytest.mark.parametrize(
    "name, content, cause",
    [
        ("a.csv", ",0.5\n0.1,0.5\n", "row 1, column 1"),
        ("a.csv", "x,y\n0.1,0.5\n0.2,\n", "row 3, column 2"),
        ("a.csv", "0.1,0.5\n0.2,nan\n", r"row 2, column 2 \('nan'\)"),
        ("a.csv", "0.1,0.5\n\n# later\n0.2,left\n", "row 4, column 2"),
        ("a.csv", "0.1,0.5\n0.2\n", "1 values in row 2 and 2 in row 1"),
        ("a.csv", "recorded on the bench\n0.1,0.5\n0.2,0.5\n", "1 names above 2 columns"),
        ("a.csv", "0.1,y\n0.1,0.5\n", "row 1, column 2"),
        ("a.csv", "left\n3\n2\n2\nup\n", "no number in row 5"),
        ("a.csv", "", "an empty file"),
        ("a.csv", "# nothing\n", "no row"),
        ("a.csv", b"\x00\x01\x02", "no text"),
        ("a.npy", b"", "an empty file"),
        ("a.npy", b"not numpy", "got"),
        ("a.json", "", "an empty file"),
        ("a.json", "{", "got"),
        ("a.json", '{"moves": [1]}', "'actions'"),
        ("a.json", "[1, null, 2]", "row 2"),
        ("a.json", "[1, NaN]", "row 2"),
        ("a.json", "[[1, 2], [3]]", "row 2"),
        ("a.json", '[{"x": 1}, {"y": 2}]', "different keys"),
        ("a.json", "[" * 100_000, "got"),
    ],
)
def test_what_is_no_table_names_the_file_and_the_row(tmp_path, name, content, cause):
    with pytest.raises(DataError, match=cause) as caught:
        table(tmp_path, content, name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_arrays_with_missing_or_no_numbers_are_refused(tmp_path):
    for array, cause in (
        (np.array([[0.0, 1.0], [np.nan, 1.0]]), "row 2"),
        (np.array([1.0, np.inf]), "row 2"),
        (np.array([1 + 2j]), "complex"),
        (np.zeros((2, 2, 2)), r"\[2, 2, 2\]"),
        (np.array([{"a": 1}], object), "got"),
    ):
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(DataError, match=cause):
            read_table(tmp_path / "a.npy")


def test_arrays_with_names_and_objects_are_tables(tmp_path):
    np.save(tmp_path / "a.npy", np.array([(0.0, 0.5), (0.25, 0.5)], [("x", "f4"), ("y", "f8")]))
    assert read_table(tmp_path / "a.npy").names == ("x", "y")
    rows = [{"x": 0.0, "y": 0.5}, {"y": 0.5, "x": 0.25}]
    read = table(tmp_path, json.dumps(rows), "a.json")
    assert read.names == ("x", "y") and read.values.tolist() == PLAIN[:2]
    np.save(tmp_path / "b.npy", np.array(["left", "up"]))
    assert read_table(tmp_path / "b.npy").values.tolist() == ["left", "up"]


def test_parquet_is_read_in_columns_and_in_lists(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    columns = {"x": [0.0, 0.25, -1.5], "y": [0.5, 0.5, 2.0]}
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    read = read_table(tmp_path / "a.parquet")
    assert read.values.tolist() == PLAIN and read.names == ("x", "y")
    parquet.write_table(pa.table({"timestamp": [0.0, 0.1, 0.2], "action": PLAIN}), tmp_path / "b.PARQUET")
    read = read_table(tmp_path / "b.PARQUET")
    assert read.values.tolist() == PLAIN and "timestamp are no actions" in read.notes[0]
    parquet.write_table(pa.table({"x": [0.0, None]}), tmp_path / "c.parquet")
    with pytest.raises(DataError, match="row 2"):
        read_table(tmp_path / "c.parquet")
    with pytest.raises(DataError, match=r"d\.parquet"):
        table(tmp_path, b"not parquet", "d.parquet")


def test_parquet_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DataError, match="pip install pyarrow"):
        table(tmp_path, b"x", "a.parquet")

from __future__ import annotations

from reports.table import table, write
from tests.reports.parsed import shape


def test_columns_are_aligned_for_a_plain_terminal():
    written = write(table("Name|Count", [("a", 1), ("long name", 1200)], right="Count"))
    assert written.split("\n") == [
        "| Name      | Count |",
        "| --------- | ----: |",
        "| a         |     1 |",
        "| long name | 1,200 |",
    ]


def test_rows_beyond_the_limit_are_counted():
    made = table("A", [(str(number),) for number in range(100)], limit=3)
    assert (len(made.rows), made.more, made.total) == (3, 97, 100)
    assert write(made).endswith("And 97 more, in `report.json`.")
    assert shape(str(write(made))).tables == ((1, 1, 1, 1),)


def test_a_table_without_rows_is_false():
    assert not table("A|B", [])

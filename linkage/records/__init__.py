"""Office only. Read a file, clean it, validate it: file in, RecordBatch out.

The way of a file: :mod:`tables` gives headings and raw rows (of an .xlsx from :mod:`xlsx`, row by
row), :mod:`text_blocks` and :mod:`sheet_blocks` many rows at once, :mod:`reading` places the mapped
columns, :mod:`cleaning` brings every cell to its canonical form by the rules of one version,
:mod:`consistency` holds the cells of a record against each other. Whatever is wrong with a cell
becomes a :class:`linkage.types.Problem`, and the record stays. :mod:`inspection` proposes the
mapping and counts.
"""

from linkage.errors import RecordsError
from linkage.records.cleaning import CLEANING_VERSIONS
from linkage.records.inspection import NO_TABLE, Inspection, inspect_file
from linkage.records.mapping import ColumnMapping, load_mapping, mapping_to_toml, parse_mapping
from linkage.records.problem_report import KeptProblems, keeping_problems, write_problem_report
from linkage.records.reading import RawBatch, read_raw_records, read_records
from linkage.records.tables import Table, read_table
from linkage.records.workbooks import sheet_names

__all__ = [
    "CLEANING_VERSIONS",
    "NO_TABLE",
    "ColumnMapping",
    "Inspection",
    "KeptProblems",
    "RawBatch",
    "RecordsError",
    "Table",
    "inspect_file",
    "keeping_problems",
    "load_mapping",
    "mapping_to_toml",
    "parse_mapping",
    "read_raw_records",
    "read_records",
    "read_table",
    "sheet_names",
    "write_problem_report",
]

"""Workbooks in the form of Office Open XML (ECMA-376), read row by row in bounded memory.

A workbook is a ``package`` of XML parts.  Its ``structure`` says which part is which sheet.  Sheets
and shared strings are ``scanned`` block by block, by compiled code (``scanner``, ``markup``) or,
where they are small, by the ``plain_scanner``.  ``strings`` holds the shared strings, ``values``
makes cells into what they are, and ``rows`` composes all this.
"""

from linkage.records.xlsx.rows import OnRead, open_sheet, read_rows, sheet_names

__all__ = ["OnRead", "open_sheet", "read_rows", "sheet_names"]

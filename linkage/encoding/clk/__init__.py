"""Office only: clkhash's format. A linkage schema, a secret and rows in; one CLK a record out.

CLK.md says what the bytes are.  The output is the same to the bit as that of clkhash 0.18.3, for
linkage schemas of the versions 1, 2 and 3, so that a project that began with clkhash can go on.
For new projects use views (``linkage.encoding``): docs/clkhash.md has the reasons in figures.
"""

from linkage.encoding.clk.encode import ClkEncoder
from linkage.encoding.clk.parse import parse_linkage_schema
from linkage.encoding.clk.schema import LinkageSchema
from linkage.encoding.clk.weaknesses import weaknesses

__all__ = ["ClkEncoder", "LinkageSchema", "parse_linkage_schema", "weaknesses"]

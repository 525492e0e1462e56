"""Office only: cleaned records in, EncodedDataset out; ENCODING.md specifies the bytes."""

from linkage.encoding.encode import EncodedFile, encode_records

__all__ = ["EncodedFile", "encode_records"]

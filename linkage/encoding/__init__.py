"""Office only: cleaned records in, EncodedDataset out; ENCODING.md specifies the bytes."""

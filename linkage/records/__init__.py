"""Office only. Read a file, clean it, validate it: file in, RecordBatch out."""

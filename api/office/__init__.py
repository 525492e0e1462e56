"""The department's side: commands that read, encode, sign, upload and join."""

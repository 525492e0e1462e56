"""Secrets and identities; imports neither ``linkage`` nor ``api``.

Read ``identity`` first, then ``signing``, ``sealing`` and ``linkage_secret``.  ``SEALING.md`` is
the byte-exact form of all of them; ``storage`` is the only file access.  Everything that fails on
purpose raises a ``KeysError``, and verification raises instead of answering no.
"""

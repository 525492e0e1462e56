"""Record linkage as pure functions over tables and arrays: no network, no database, no keys.

Contract of the package:

- ``records``, ``encoding``, ``matching`` and ``quality`` are stages.  They may import
  ``linkage.types``, ``linkage.errors``, ``linkage.profile``, ``linkage.tqe`` and
  ``linkage.compiled``, never each other.
- ``linkage.pipeline`` is the one module that composes the matching stages.
- ``records`` and ``encoding`` run on an office's machine only; a server process cannot import
  them (import-linter checks it).
- Secrets arrive as ``bytes`` arguments.  Nothing here stores one, prints one or derives one from
  a password.
"""

"""The office's workbench: pages on 127.0.0.1, on the office's own machine, for its clerks.

A clerk drops a file, corrects its columns, sees its problems, reads and signs the terms of a round,
encodes, sends, and gets the links beside the office's own rows.  What the pages do is what the
commands of ``tongqiao office`` do, over the same functions and the same files, so that a clerk and
a technician can take turns.  Raw data stays in the workbench's folder; what leaves is the encoded
file, by :mod:`api.client`.

- :mod:`folder`: where everything lies; :mod:`jobs`: work that takes a while;
- :mod:`register`: the file being prepared; :mod:`round_work`: a round from terms to list;
- :mod:`guard`: who may open the pages; :mod:`app`: puts them together.
"""

"""Encodings in, links out, in four stages that know nothing of each other's insides.

1. ``candidates``: pairs of records that share a salt tag in some view (or any pair, where a view
   has no tags).
2. ``compare``: one level of agreement for each feature of each candidate pair.
3. ``score``: levels into log odds of being the same child, learned without truth.
4. ``solve``: scored pairs into links.

Records of all datasets are numbered through: record ``i`` of dataset ``d`` has the number
``offsets[d] + i``.  A pair is always (smaller number, larger number).  Nothing depends on the order
in which datasets are given: ``pipeline`` sorts them by content first.
"""

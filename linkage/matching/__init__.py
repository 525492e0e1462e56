"""Encodings in, links out.  Records of all datasets are numbered through; a pair is always
(smaller number, larger number).

A pair is a **candidate** when it is comparable in some view: both records carry the same salt tag
there, or, in a view without tags, their first filters resemble each other.  What its encodings say
is **measured** (``compare.Measured``): views in which it is comparable, views in which its tags
differ, and Hamming distances of the filters of the comparable views.  From these alone follow the
**levels** of agreement of its features, from the levels its **log odds**, and if these reach the
**floor** the pair is **kept**.  Links are made of kept pairs.  So whoever measures a pair, and in
whatever pieces, the links are the same to the byte.

The stages, which know nothing of each other's insides:

- ``numbering``: the records, their tags in memory, their filters in mapped files.
- ``sample``: some of the candidates, weighted, to fit the model to; all where they are few.
- ``compare``: measurements into levels.  ``score``: levels into log odds, learned without truth.
  ``rarity``: what equal tags add that few records have, in views of which a profile wants that.
- ``join``: all candidates into kept pairs.  ``tagged_join`` compares the pairs of a tag group in
  compiled loops (``join_loops``) and drops those that ``local_evidence`` says can never be kept:
  they agree in this view alone, and what it shows is too little.  The others are spilled as sorted
  runs, one a chunk, and ``scored`` merges the pieces that several views have of a pair.
  ``similar_pairs`` finds the candidates of untagged views.
- ``reference``: the same, plainly: no chunks, no tables, everything in memory.
- ``solve``: kept pairs into links.

All pairs of filters that meet a rule, for encodings without tags, are found by ``pair_scan``:
``head_test`` says which pairs deserve an exact look (``abandon``, ``sketch``), ``tile`` and
``products`` test heads with the processor's vectors or its matrix unit, ``scan`` cuts the work up,
``crew`` shares it out among threads, ``finish`` takes the exact look.  ``dice_pairs`` states the
rule for CLKs, with a plain reference, and ``dice_join`` cuts it into chunks; ``similar_pairs`` is
for views without tags.

Chunks are pure functions of the files.  ``engines`` compute them, on this machine or on many;
``chunk_store`` keeps the finished ones on disk.
"""

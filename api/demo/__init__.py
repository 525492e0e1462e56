"""One whole round on invented data, every role in its own process.

The demo is a director, not an actor: every role acts through the public command line, in processes
of its own, with files of its own.  Only the judge at the end, who compares links with the truth,
sees more than any role could: the truth, every office's map, and the server's table of links.
"""

"""A daemon that ends itself at every crash point, and what the stores and the answers say afterwards.

    points     the names that a build with crash points knows, and how often a run reached each
    trial      one daemon's life: armed with a point, ended there, perhaps again while it recovers, started, judged
    scenarios  what clients do meanwhile: first start, put, overwrite, delete, accepted jobs, batch, refusal, outage, ...
    matrix     which points and hits each scenario reaches; its rotating share; the trials, and the table of them

The oracle is that of tests/lib/record: at rest each answer must be true of all four stores, field by field, and the
same key asked again must get the same answer. tools/crash-points is the command line.
"""

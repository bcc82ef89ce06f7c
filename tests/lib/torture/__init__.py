"""A random campaign of real faults on real stores, under load; tools/torture runs it.

    plan       what happens in which order: all of it out of one seed
    faults     what can be done to a store, and how it is undone
    arena      stores of their own, a proxy before each, the daemon
    load       clients that write, write again, delete, and record what they are told
    campaign   carries the plan out, rests, lets the judge of tests/lib/record look, counts
"""

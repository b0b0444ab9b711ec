"""Speed and memory against other libraries: ``python -m benchmarks [names…]``.

Words used throughout:

*workload*
    one thing to compute, described once (``workload.py``, ``workloads/``).
*side*
    one library's way to compute it: ours, or a peer's.
*worker*
    the process in which one side runs (``worker.py``).
*round*
    one turn of every side; the order is reversed from round to round.
*bar*
    what our side has to reach.

Method
------
Each side lives in a process of its own that imports only its own library: in one process, one
library's garbage is collected on the other's time. The parent (``harness.py``) alternates between
the processes, so that a machine which slows down slows all sides alike; it compares sides within
a round and reports the median of these ratios. Every side gets the same seeded data, two threads,
and the garbage collector as its users have it. ``report.py`` prints the table and writes JSON.
"""

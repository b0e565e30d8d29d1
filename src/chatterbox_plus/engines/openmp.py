"""How the threads of a process that computes share the cores with others."""

THREADS = {"GOMP_SPINCOUNT": "20000"}
"""Variables for processes that compute with OpenMP's threads, unless they are set already.

A thread that waits for others keeps its core busy, by default for milliseconds. Where another process has the other's
core, the two then wait for the scheduler at each of the hundred products of a token: a sentence took minutes instead of
seconds. With this they give way after some ten microseconds, which costs nothing where nobody else is.
"""

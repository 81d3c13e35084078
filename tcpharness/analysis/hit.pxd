# Widths for the compiled build; hit.py is the text, and runs as it is.
cimport cython

@cython.final
cdef class Hit:
    cdef public object text, kind, level, detail, frame, time_ns, end_ns, count, seq, len, keep, replaces
    cdef public bint of_other

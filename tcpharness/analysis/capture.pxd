# Widths for the compiled build; capture.py is the text, and runs as it is.
cimport cython

from tcpharness.analysis.flow cimport Tracker, apply, bucket, bucket_of_frame, check_sums, observe, pass_by, settle
from tcpharness.analysis.hit cimport Hit
from tcpharness.analysis.state cimport Flow, Side
from tcpharness.packet.pcap cimport Reader
from tcpharness.packet.segment cimport Segment, read_frame

cdef long long WIDE, END, EACH, EVERY, JITTER_NS, CROWD, CROWD_WATCHES, DUP_ACK

@cython.final
cdef class Watch:
    cdef public object detector, function
    cdef public str name, level
    cdef public long long signs, kept, more
    cdef public bint sure

@cython.final
cdef class Analysis:
    cdef public object options, crowd, not_tcp
    cdef public dict counts
    cdef public Tracker tracker
    cdef public list events, findings, flows
    cdef public long long frames, last_ns, most_findings, start_ns, always, share, shares, signs_before
    cdef public tuple crowd_rules, waiting, watches
    cdef public dict by_signs, by_name
    cdef public object backwards, fragments
    cpdef read(self, Reader reader)
    @cython.locals(at="Py_ssize_t")
    cpdef read_on(self, Reader reader, Segment segment)
    @cython.locals(at="Py_ssize_t", place="long long")
    cpdef bint is_of_another(self, Reader reader) except -1
    cpdef count(self, Segment segment)
    cpdef see(self, Segment segment)
    @cython.locals(tracker=Tracker, side=Side, other=Side, signs="long long")
    cpdef see_tcp(self, Segment segment)
    cpdef note_backwards(self, Segment segment)
    cpdef detect_after(self, Segment segment, Side side)
    cpdef see_other(self, Segment segment)
    @cython.locals(watch=Watch, hit=Hit)
    cpdef detect(self, Segment segment, Side side, long long signs)
    cpdef tuple who_waits(self, long long signs)
    cpdef tally(self, tuple counted, long long more)
    @cython.locals(full="bint", counted="tuple")
    cpdef take(self, Watch watch, Hit hit, Segment segment, of)
    cpdef replace(self, old, new)
    cpdef end(self, list flows)

cpdef made(Watch watch, Hit hit, Segment segment, key)

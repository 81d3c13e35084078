# Widths for the compiled build; ending.py is the text, and runs as it is.
from tcpharness.analysis.hit cimport Hit
from tcpharness.analysis.state cimport Side
from tcpharness.packet.segment cimport Segment, seq_diff

cpdef Hit fin_close(Segment segment, Side this, Side other)
cpdef Hit reset(Segment segment, Side this, Side other)
cpdef Hit injected_reset(Segment segment, Side this, Side other)
cpdef Hit reset_out_of_window(Segment segment, Side this, Side other)
cpdef Hit challenge_ack(Segment segment, Side this, Side other)
cpdef Hit data_after_close(Segment segment, Side this, Side other)
cpdef Hit half_closed(Segment segment, Side this, Side other)
cpdef Hit rst_with_data(Segment segment, Side this, Side other)
cpdef Hit rst_idle_timeout(Segment segment, Side this, Side other)
cpdef Hit keep_alive_answered_by_rst(Segment segment, Side this, Side other)
cpdef Hit fin_no_answer(Segment segment, Side this, Side other)

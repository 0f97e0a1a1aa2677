"""The form of every metrics.json."""

import math

from ebmrepro.metrics.measurement import NOT_FINITE, Measurement


def test_what_is_not_finite_becomes_null_with_a_reason():
    one = Measurement({"fid": math.nan, "kid": 0.5, "k": None}, {"k": "no game"}).document()
    assert one["values"] == {"fid": None, "kid": 0.5, "k": None}
    assert one["reasons"] == {"fid": NOT_FINITE, "k": "no game"}
    over_seeds = Measurement({"tau": {"0": math.inf, "1": 1.0}}).document()
    assert over_seeds["values"] == {"tau": {"0": None, "1": 1.0}}
    assert over_seeds["reasons"] == {"tau": NOT_FINITE} and "flags" not in over_seeds


def test_a_later_measurement_replaces_values_and_takes_no_flag_back():
    first = Measurement({"fid": 1, "kid": 2}, flags={"fid": "few", "kid": None, "fd_dbn": "few"})
    second = Measurement(
        {"fid": 3}, flags={"fid": None, "kid": "odd", "fd_dbn": "odd"}, protocol={"fid": "all"}
    )
    both = (first | second | second).document()
    assert both["values"] == {"fid": 3, "kid": 2} and both["protocol"] == {"fid": "all"}
    assert both["flags"] == {"fid": "few", "kid": "odd", "fd_dbn": "few; odd"}


def test_a_document_is_read_as_it_was_written():
    written = Measurement({"a": 1.5, "b": None}, {"b": "why"}, {"a": "beware"}, {"a": "how"})
    read = Measurement.read(written.document())
    assert read == written
    assert (read.number("a"), read.number("b"), read.number("c")) == (1.5, None, None)
    seeds = Measurement.read({"values": {"tau": {"0": 0.5}}})
    assert (seeds.number("tau", 0), seeds.number("tau", 1)) == (0.5, None)

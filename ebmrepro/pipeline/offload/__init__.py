"""Trainings on a machine that has torch and numpy and nothing else of ours.

`pack.py` writes a folder, whose run.py is `start.py`; `program.py` is what that does there, in
parts (`parts.py`), each in a process of its own (`trainings.py`); `cargo.py` is what comes back, in
pieces; `take.py` puts it where stages would have.
"""

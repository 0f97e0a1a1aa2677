"""Trainings for days, of suites that `run` does not name: `campaign` of params.yaml, in its order.

`plan.py` says what there is of each and what is left; `item.py` is one of them, from training to a
carried result; `drive.py` has several at once, each in a niced process of its own.
"""

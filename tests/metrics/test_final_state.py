import numpy as np

from ebmrepro.metrics.final_state import stops

NAN = np.nan


def test_each_condition_that_fails_counts_in_each_epoch_that_had_a_chance():
    # epoch   pretraining, measuring, then five of the game; m_0 = 10 is measured in the second
    real = np.array([20.0, 10.0, 9.0, 8.0, 12.0, 7.0, 6.0])
    fake = np.array([NAN, NAN, 11.0, 12.0, 13.0, 12.5, 5.0])
    margin = np.array([0.0, 10.0, 10.0, 8.0, 8.0, 8.0, 8.0])
    # third: no E_G before it. Fourth: all hold, m moves to 8. Fifth: 12 is not below m = 8.
    # Sixth: E_G fell from 13 to 12.5. Seventh: E_G fell, and 6 is not below 5.
    assert stops(real, fake, margin) == {
        "chances": 4,
        "stopped_by_generator": 2,
        "stopped_by_margin": 1,
        "stopped_by_fakes": 1,
    }


def test_equal_energies_of_fakes_do_not_stop_and_an_equal_margin_does():
    real, fake = np.array([8.0, 8.0]), np.array([9.0, 9.0])
    assert stops(real, fake, np.array([8.0, 8.0])) == {
        "chances": 1,
        "stopped_by_generator": 0,
        "stopped_by_margin": 1,
        "stopped_by_fakes": 0,
    }

"""When a model that does not infer is treated again."""

import time

from inference.supervision.patients import LONGEST_PAUSE, Patients


def test_second_attempt_may_follow_at_once_and_the_third_waits() -> None:
    patient = Patients().admit("m")
    patient.attempt()
    assert patient.is_due
    patient.attempt()
    assert not patient.is_due


def test_pauses_double_from_the_second_attempt_on() -> None:
    patient = Patients().admit("m")
    for pause in (0.0, 4.0, 8.0, 16.0):
        before = time.monotonic()
        patient.attempt()
        assert before + pause <= patient.due <= time.monotonic() + pause


def test_pauses_grow_up_to_a_limit_for_as_long_as_it_takes() -> None:
    patient = Patients().admit("m")
    for _ in range(2000):  # a day and a half
        patient.attempt()
    assert LONGEST_PAUSE - 5 < patient.due - time.monotonic() <= LONGEST_PAUSE


def test_restart_is_tried_once_when_a_reload_did_not_help() -> None:
    patient = Patients().admit("m")
    needed = []
    for _ in range(4):
        patient.attempt()
        needed.append(patient.needs_restart)
    assert needed == [False, True, False, False]


def test_model_that_triton_refuses_to_load_needs_no_restart() -> None:
    patient = Patients().admit("m")
    patient.refused = True
    patient.attempt()
    patient.attempt()
    assert not patient.needs_restart


def test_only_the_well_are_discharged() -> None:
    patients = Patients()
    first = patients.admit("a")
    patients.admit("b")
    assert patients.discharge({"a"}) == ["b"]
    assert patients.admit("a") is first
    assert "a" in patients
    assert "b" not in patients

from __future__ import annotations

from calogan.validation.sections.speed import speed_section
from calogan.validation.studies.speed import SimulationTime, SpeedStudy, Timing


def study(simulation):
    timings = (Timing(1, 100, 0.5, 0.4, 0.7, 80.0), Timing(10_000, 5, 0.02, 0.01, 0.03, 2000.0))
    return SpeedStudy("ONNX Runtime 1.2", "cpu", "1", "float32", "a processor, 2 cores", timings, simulation)


def test_times_threads_and_precision_are_stated():
    section = speed_section(study(SimulationTime("sim_time_ms", 2500, 40.0)))

    assert "ONNX Runtime 1.2 on cpu, float32, threads of the network: 1" in section.text[0]
    assert "branch sim_time_ms over 2500 showers" in section.text[1]
    assert section.tables[0].rows == (
        ("surrogate, 1 at a time", "100 requests", "0.5", "0.4 to 0.7", "80"),
        ("surrogate, 10000 at a time", "5 requests", "0.02", "0.01 to 0.03", "2000"),
        ("full simulation", "2500 showers", "40", "–", "1"),
    )


def test_an_unknown_time_of_the_simulation_is_said():
    section = speed_section(study(None))

    assert "simulation_time" in section.text[1]
    assert len(section.tables[0].rows) == 2

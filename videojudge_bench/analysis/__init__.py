"""Studies of judges: calibration, sweeps, conformance, rubrics."""

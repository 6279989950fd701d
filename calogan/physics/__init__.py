"""Physics of single showers: kinematics and observables."""

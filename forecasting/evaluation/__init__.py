"""How good a forecast is: rolling origins, metrics, calibration, and the gate that decides what goes live."""

"""How well tracks follow the truth: GOSPA, SIAP, identity switches. Pure functions of two tables."""

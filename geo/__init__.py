"""Where things are: frames, zones, the border line, jurisdictions. Knows nothing of sensors, tracks or rules."""

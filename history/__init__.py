"""What was: one store protocol, an embedded store and InfluxDB behind it."""

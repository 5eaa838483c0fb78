"""What holds the rooms together: configuration, advance, service, replay, simulator, command line."""

"""The families of commands, a file each. Parsing and printing; the work is elsewhere."""

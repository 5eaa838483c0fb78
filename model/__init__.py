"""The types that travel between rooms. Imports nothing of ours; of others, numpy only."""

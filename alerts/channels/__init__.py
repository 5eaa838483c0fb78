"""How deliveries reach agencies. One file a way; each says by a named result what became of each delivery."""

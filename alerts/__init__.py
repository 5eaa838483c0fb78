"""Events into incidents, incidents to agencies. Rules, incidents and routing are pure; outbox and channels are the shell."""

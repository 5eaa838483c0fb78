"""Exercises: targets that move over a site, sensors that see them as imperfectly as registered, messages as vendors send them."""

"""Detections into tracks. Pure: no socket, no file, no clock."""

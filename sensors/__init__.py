"""From messages to detections. Left of the socket everything is pure; `ingest` and `journal` are the shell."""

"""The operations-centre page: what officers see and do, over HTTP. Knows nothing of MQTT, fusion or files of configuration."""

"""A stand-in for the Qdrant server: its REST dialect in front of its own engine. tools/qdrant-edge-server runs it."""

"""Chunks into hits: embedder, store, fusion, index. Imports only `ingest`'s types."""

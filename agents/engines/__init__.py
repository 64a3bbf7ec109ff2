"""Inference engines: tokens in, tokens out."""

"""Stages of the pipeline, a module each: a configuration in, files out."""

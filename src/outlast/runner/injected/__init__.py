"""The folder that a training finds first on its PYTHONPATH. It holds `sitecustomize`, and nothing else ever.

Not for importing: the interpreter of a training runs what is in here by itself, whatever its version.
"""

"""Training programs. Each is started as a process of its own (`python -m outlast.trainers.NAME`) and never
imported by the rest of outlast: heavy imports live here and nowhere else.

Knows nothing of supervisors and attempts: a program here uses the public SDK like anybody's training.
"""

"""What a training's output says of its progress, with no code change in the training. Pure: bytes in, values out.

Knows the shapes in which trainings report themselves. Refuses to know files, clocks and what follows from a stall.
"""

from outlast.runner.output_reading.following import follow
from outlast.runner.output_reading.known import Known
from outlast.runner.output_reading.reading import OutputReading

__all__ = ["Known", "OutputReading", "follow"]

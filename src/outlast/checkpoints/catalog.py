"""The formats of checkpoints that are known, the more particular ones first.

Adding one: a module in `formats/`, a line here, a ground in tests/contract/test_checkpoint_format.py.
"""

from outlast.checkpoints.formats.accelerate import AccelerateFormat
from outlast.checkpoints.formats.dcp import DcpFormat
from outlast.checkpoints.formats.deepspeed import DeepSpeedFormat
from outlast.checkpoints.formats.folder import FolderFormat
from outlast.checkpoints.formats.hf_trainer import HuggingFaceFormat
from outlast.checkpoints.formats.lightning import LightningFormat
from outlast.checkpoints.formats.orbax import OrbaxFormat
from outlast.checkpoints.formats.torch_file import TorchFileFormat
from outlast.checkpoints.isolated import Isolated
from outlast.seams import CheckpointFormat

FORMATS: tuple[CheckpointFormat, ...] = (
    Isolated(HuggingFaceFormat()),
    Isolated(AccelerateFormat()),
    Isolated(DeepSpeedFormat()),
    Isolated(OrbaxFormat()),
    DISTRIBUTED := Isolated(DcpFormat()),
    Isolated(LightningFormat()),
    Isolated(TorchFileFormat()),
    PLAIN := Isolated(FolderFormat()),
)

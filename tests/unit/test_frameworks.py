"""The callbacks' modules where their frameworks are not installed: they import, and say what is missing."""

import subprocess
import sys
from pathlib import Path

import pytest

import outlast

SOURCE = str(Path(outlast.__file__).parents[1])
WITHOUT = """
import sys
sys.path.insert(0, {source!r})
for name in ("transformers", "lightning", "lightning.pytorch", "pytorch_lightning", "accelerate"):
    sys.modules[name] = None
import outlast
module = getattr(outlast, {module!r})
try:
    module.{name}
except ImportError as error:
    print(error)
try:
    module.nothing
except AttributeError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("module", "name", "install"),
    [
        ("hf", "Callback", "pip install transformers"),
        ("lightning", "Callback", "pip install lightning"),
        ("accelerate", "Tracker", "pip install accelerate"),
    ],
)
def test_without_its_framework_a_module_imports_and_says_what_to_install(
    module: str, name: str, install: str
) -> None:
    code = WITHOUT.format(source=SOURCE, module=module, name=name)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    missing, unknown = done.stdout.splitlines()
    assert install in missing
    assert unknown == f"module 'outlast.{module}' has no attribute 'nothing'"


def test_the_modules_load_no_framework_and_may_be_imported_by_name() -> None:
    code = (
        f"import sys; sys.path.insert(0, {SOURCE!r}); import outlast.hf, outlast.lightning, outlast.accelerate; "
        "print({'torch', 'transformers', 'lightning', 'pytorch_lightning', 'accelerate'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_other_names_are_unknown() -> None:
    with pytest.raises(AttributeError, match="no attribute 'keras'"):
        _ = outlast.keras

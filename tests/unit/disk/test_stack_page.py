"""In processes of their own: who is armed stays it."""

import json
import os
import subprocess

import pytest

from outlast.disk import stack_page
from tests.hangs import CLEAN
from tests.runner_driver import PYTHON, SOURCE

HEAD = f"""
import json, os, sys
sys.path.insert(0, {SOURCE!r})
from outlast.disk import stack_page
def pages():
    found = {{}}
    for number in os.listdir("/proc/self/fd"):
        try:
            if os.readlink("/proc/self/fd/" + number).startswith(stack_page.LINK):
                found[int(number)] = os.fstat(int(number)).st_ino
        except OSError:
            pass
    return found
def caught():
    for line in open("/proc/self/status"):
        if line.startswith("SigCgt"):
            return bool(int(line.split()[1], 16) & 1 << stack_page.SIGNAL - 1)
def dump():
    os.kill(os.getpid(), stack_page.SIGNAL)
    (number,) = pages()
    return os.pread(number, 1 << 20, 0).decode()
def say(**what):
    print(json.dumps(what), flush=True)
"""


def said(code: str, *flags: str, **env: str) -> list[dict[str, object]]:
    done = subprocess.run(
        [PYTHON, *flags, "-c", HEAD + code], env={**CLEAN, **env}, capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_signal_is_the_one_that_the_c_library_counts_as_its_seventh() -> None:
    (found,) = said("import signal; say(number=signal.SIGRTMIN + 7)")
    assert found == {"number": stack_page.SIGNAL}


def test_who_is_armed_writes_its_stacks_into_its_own_memory() -> None:
    (found,) = said("def here(): return dump()\nsay(armed=stack_page.arm(), caught=caught(), text=here())")
    assert found["armed"] is True
    assert found["caught"] is True
    assert "in here" in str(found["text"])


def test_arming_twice_is_arming_once() -> None:
    (found,) = said("stack_page.arm(); one = pages(); say(again=stack_page.arm(), same=one == pages())")
    assert found == {"again": True, "same": True}


def test_another_copy_of_this_module_in_the_same_process_finds_it_armed() -> None:
    code = f"""
stack_page.arm(); one = pages()
other = {{"__name__": "other"}}
exec(open({stack_page.__file__!r}).read(), other)
say(again=other["arm"](), same=one == pages())
"""
    assert said(code) == [{"again": True, "same": True}]


def test_a_forked_child_has_memory_of_its_own_and_none_of_its_parent() -> None:
    code = """
stack_page.arm(); parents = pages()
pid = os.fork()
text = dump()
say(child=pid == 0, pages=len(pages()), is_parents=pages() == parents, text=text)
if pid: os.wait()
"""
    by_child = {bool(each["child"]): each for each in said(code)}
    assert by_child[True]["pages"] == by_child[False]["pages"] == 1
    assert by_child[True]["is_parents"] is False
    assert by_child[False]["is_parents"] is True
    assert str(by_child[False]["text"]).count("Current thread") == 1


def test_a_forked_child_without_memory_does_not_write_into_its_parents() -> None:
    code = """
stack_page.arm()
def none(*args): raise OSError("no memory")
os.memfd_create = none
pid = os.fork()
if pid == 0:
    say(caught=caught(), pages=len(pages())); os._exit(0)
os.wait()
"""
    assert said(code) == [{"caught": False, "pages": 0}]


def test_a_child_closes_no_descriptor_that_took_the_number_of_a_closed_page() -> None:
    code = """
stack_page.arm(); (number,) = pages()
os.close(number)
other = os.open(os.devnull, os.O_RDONLY); os.dup2(other, number)
pid = os.fork()
if pid == 0:
    say(open=os.readlink(f"/proc/self/fd/{number}")); os._exit(0)
os.wait()
"""
    assert said(code) == [{"open": os.devnull}]


def test_low_descriptors_are_left_to_those_who_count_on_them() -> None:
    (found,) = said("stack_page.arm(); (number,) = pages(); say(number=number)")
    assert found == {"number": stack_page.FIRST_FD}


def test_where_descriptors_are_few_a_low_one_must_do() -> None:
    code = """
import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
say(armed=stack_page.arm(), caught=caught(), pages=len(pages()))
"""
    assert said(code) == [{"armed": True, "caught": True, "pages": 1}]


@pytest.mark.parametrize(
    "hardship",
    [
        "def none(*args): raise OSError('no memfd')\nos.memfd_create = none",
        "sys.modules['faulthandler'] = None",
        "import faulthandler; faulthandler.register = None",
    ],
)
def test_where_it_cannot_be_had_nothing_is_raised_and_nothing_left(hardship: str) -> None:
    (found,) = said(f"{hardship}\nsay(armed=stack_page.arm(), caught=caught(), pages=len(pages()))")
    assert found == {"armed": False, "caught": False, "pages": 0}


def test_a_program_that_uses_the_signal_itself_keeps_it() -> None:
    code = """
import signal
heard = []
signal.signal(stack_page.SIGNAL, lambda number, frame: heard.append(number))
armed = stack_page.arm()
os.kill(os.getpid(), stack_page.SIGNAL)
say(armed=armed, heard=len(heard), pages=len(pages()))
"""
    assert said(code) == [{"armed": False, "heard": 1, "pages": 0}]


def test_a_python_without_memfd_create_gets_it_from_the_c_library() -> None:
    (found,) = said("del os.memfd_create; say(armed=stack_page.arm(), pages=len(pages()))")
    assert found == {"armed": True, "pages": 1}


def test_program_that_is_executed_inherits_neither_memory_nor_handler() -> None:
    code = f"""
stack_page.arm()
os.execv(sys.executable, [sys.executable, "-c", {HEAD + "say(caught=caught(), pages=len(pages()))"!r}])
"""
    assert said(code) == [{"caught": False, "pages": 0}]

"""Dumps of every format as values."""

import pytest

from outlast.runner import frames

PLAIN = """Thread 0x00007f3 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 331 in wait
  File "/w/my train.py", line 7 in beat

Current thread 0x00007f4 (most recent call first):
  File "/w/site-packages/torch/x.py", line 9 in <listcomp>
  File "/w/my train.py", line 3 in <module>

"""
NAMED = PLAIN.replace("0x00007f4 (", "0x00007f4 [python3] (").replace(
    "/w/my train.py", '/w/a", line 1 in b.py'
)
SPIED = """Process 12: python /w/train.py
Python v3.11.7 (/usr/bin/python3.11)

Thread 12 (idle): "MainThread"
    wait (threading.py:331)
    train.<locals>.step (/w/my (new) train.py:7)
    <module> (/w/train.py:30)
Thread 14 (active): "beating"
    beat (/w/train.py:3)
"""


def test_main_thread_of_faulthandler_is_the_last_whoever_got_the_signal() -> None:
    for text in (PLAIN, PLAIN.replace("Thread 0x00007f3", "Current thread 0x00007f3")):
        main = frames.main_thread(frames.threads(text))
        assert main is not None
        assert [str(each) for each in main.frames] == [
            "/w/site-packages/torch/x.py:9 <listcomp>",
            "/w/my train.py:3 <module>",
        ]


def test_names_of_threads_and_quotes_in_paths_are_no_obstacle() -> None:
    first, main = frames.threads(NAMED)
    assert first.frames[1].file == '/w/a", line 1 in b.py'
    assert (main.frames[1].line, main.frames[1].function) == (3, "<module>")


@pytest.mark.parametrize("name", [': "MainThread"', ""])
def test_main_thread_of_py_spy_is_the_one_of_that_name_or_number(name: str) -> None:
    main = frames.main_thread(frames.threads(SPIED.replace(': "MainThread"', name)))
    assert main is not None
    assert str(main.frames[1]) == "/w/my (new) train.py:7 train.<locals>.step"
    assert len(main.frames) == 3


def test_own_frame_is_the_innermost_outside_of_the_libraries() -> None:
    assert str(frames.own_frame(frames.threads(PLAIN)[-1])) == "/w/my train.py:3 <module>"
    assert frames.own_frame(None) is None


def test_dump_that_was_cut_after_a_hundred_threads_has_no_main_one() -> None:
    text = PLAIN + "...\n"
    assert frames.is_cut(text)
    assert not frames.is_cut(PLAIN)
    assert frames.main_thread(frames.threads(text)) is None


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "garbage", "  File", '  File "x", line y in z', "Thread", "    ()", "    (:)", "Thread 1\n  a (b:c)",
     "\0\ufffd" * 50, PLAIN[: len(PLAIN) // 2], SPIED[:70]],
)  # fmt: skip
def test_no_text_is_too_strange(text: str) -> None:
    for thread in frames.threads(text):
        assert all(frame.line >= 0 for frame in thread.frames)


def test_endless_dumps_stay_bounded() -> None:
    found = frames.threads(PLAIN * 1000 + '  File "x", line 1 in f\n' * 1000)
    assert len(found) == frames.THREADS_MAX
    assert max(len(thread.frames) for thread in found) == frames.FRAMES_MAX

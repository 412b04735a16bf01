"""Bugs of whole lives: runners, backends, supervisors and the command forget what they promised to survive.

Each is the fault of a scenario in `tests/scenarios.py`; most of their tests are real processes.
"""

from tests.mutants.plant import Mutant, Patch

RING = "tests/live/test_ring.py"
HARD = "tests/live/test_hardships.py"
LEFT = "tests/live/test_scenarios_left.py"
LIFE = "tests/live/test_runner_life.py"
TAKEOVER = "tests/live/test_runner_takeover.py"
STOP = "tests/live/test_runner_stop.py"
ROOM = "tests/live/test_runner_room.py"
INLINE = "tests/live/test_cli_inline.py"
VERBS = "tests/live/test_cli_verbs.py"
CONTRACT = "tests/contract/test_backend.py"

TAKEN_OVER = (
    Mutant(
        "a-locked-claim-is-a-dead-runner",
        "a runner that this very supervisor did not start is taken for one that is gone",
        (
            Patch(
                "backends/local/__init__.py",
                "        if locked:\n            return Running(",
                "        if locked and attempt not in self._children:\n"
                '            return Gone(begun.where, Word("NOT-OURS", "another supervisor started it"))\n'
                "        if locked:\n            return Running(",
            ),
        ),
        (f"{RING}::test_l1_the_supervisor_killed_in_mid_training_is_replaced_and_adopts_it",),
    ),
    Mutant(
        "adoption-starts-the-command-again",
        "who finds a claim whose runner is gone begins the attempt anew",
        (
            Patch(
                "runner/life.py",
                "            takeover.take_over(post, made.record)\n",
                "            files.remove(folder.started)\n            begin.begin(post, umask)\n",
            ),
            Patch(
                "runner/begin.py",
                "    if not files.try_lock_patiently(lease) or (theirs is None",
                "    if False and (theirs is None",
            ),
        ),
        (f"{TAKEOVER}::test_l2_the_same_attempt_goes_on_without_a_second_start",),
    ),
    Mutant(
        "the-oldest-checkpoint-is-taken",
        "an attempt resumes from the oldest checkpoint that is whole",
        (Patch("decide/resume.py", "_age(pair[0]), reverse=True)", "_age(pair[0]))"),),
        (
            f"{RING}::test_l3_a_killed_training_resumes_from_its_newest_checkpoint",
            "tests/unit/decide/test_resume.py",
        ),
    ),
    Mutant(
        "steps-are-compared-as-text",
        "step 9 is newer than step 10",
        (
            Patch(
                "decide/resume.py",
                "    step = -1 if candidate.step is None else candidate.step\n    return step,",
                '    step = "" if candidate.step is None else str(candidate.step)\n    return step,',
            ),
        ),
        ("tests/unit/decide/test_resume.py",),
    ),
    Mutant(
        "the-end-is-invented-at-a-takeover",
        "what began and left no trace is said to have ended well",
        (
            Patch(
                "runner/takeover.py",
                '    end = ending.lost("its runner was gone when it ended")\n',
                "    end = ending.of_status(0)\n",
            ),
        ),
        (f"{TAKEOVER}::test_who_began_and_is_gone_without_a_trace_is_lost",),
    ),
    Mutant(
        "what-began-elsewhere-is-judged-here",
        "the end of an attempt of another host is recorded here, by its backend and by a runner",
        (
            Patch(
                "backends/local/__init__.py",
                '        if runner["host"] != identity.host():\n',
                "        if False:\n",
            ),
            Patch("runner/takeover.py", '        if by["host"] != identity.host():\n', "        if False:\n"),
        ),
        (
            f"{TAKEOVER}::test_p11_what_began_elsewhere_is_not_judged_here",
            f"{HARD}::test_p11_another_host_sees_a_run_and_never_touches_it",
            f"{CONTRACT} -k claim_of_another_host",
        ),
    ),
    Mutant(
        "a-chosen-attempt-is-launched-once",
        "a launch that was journaled and may never have happened is not repeated",
        (
            Patch(
                "decide/core.py",
                "            return _call_off(book, attempt, sight) or _again(spec, book, phase, now, term)\n",
                "            return _call_off(book, attempt, sight) or Decision()\n",
            ),
        ),
        (
            "tests/crash/test_supervisor_killed.py::"
            "test_r26_killed_at_its_nth_write_the_supervisor_goes_on_to_the_same_end",
            "tests/simulate/test_lives.py -k known_seeds",
        ),
    ),
    Mutant(
        "the-ground-floor-is-copied-in-place",
        "half a copy of the ground floor is taken for a whole one",
        (
            Patch(
                "supervise/floor.py",
                "    if _digest(_sources(package)) != _digest(sources):\n",
                "    if not os.path.isdir(package):\n",
            ),
            Patch(
                "supervise/floor.py",
                '    staging = f"{folder}.{secrets.token_hex(4)}.tmp"\n',
                "    staging = folder\n",
            ),
            Patch(
                "supervise/floor.py",
                "        compileall.compile_dir(staging, quiet=2)\n",
                "        compileall.compile_dir(staging, quiet=2)\n        return\n",
            ),
            Patch(
                "supervise/floor.py", "        shutil.rmtree(staging, ignore_errors=True)\n", "        pass\n"
            ),
        ),
        (
            "tests/crash/test_supervisor_killed.py::"
            "test_r26_killed_while_it_copies_the_ground_floor_the_next_supervisor_makes_it_whole",
        ),
    ),
)

PLACE = (
    Mutant(
        "the-lock-is-not-asked",
        "who finds the place locked rules beside its holder",
        (
            Patch(
                "supervise/hold.py",
                "        if not files.try_lock_patiently(self._fd):\n",
                "        if not files.try_lock_patiently(self._fd) and False:\n",
            ),
            Patch("cli/up.py", "    _refuse_if_held(place)\n    if", "    if"),
        ),
        (f"{RING}::test_l5_of_many_supervisors_started_at_once_one_holds_the_place",),
    ),
    Mutant(
        "any-lock-file-will-do",
        "whether the lock that is held is still the one that others would try is not looked at",
        (
            Patch(
                "supervise/hold.py",
                "            return os.path.samestat(os.stat(self.place.lock), os.fstat(self._fd))\n",
                "            return True\n",
            ),
        ),
        (f"{LEFT}::test_l6_who_holds_a_lock_file_that_was_deleted_leaves_the_place",),
    ),
    Mutant(
        "who-is-hidden-is-gone",
        "a process that we may not signal counts as gone",
        (
            Patch(
                "disk/identity.py",
                "    except PermissionError:\n        return True\n",
                "    except PermissionError:\n        return False\n",
            ),
        ),
        ("tests/unit/disk/test_identity.py::test_a_process_that_proc_hides_from_us_counts_as_alive",),
    ),
    Mutant(
        "an-idle-supervisor-leaves",
        "one that is to stay leaves when it has nothing to do",
        (
            Patch("supervise/loop.py", "LINGER_S = 1.0  #", "LINGER_S = 0.05  #"),
            Patch(
                "supervise/loop.py", " >= LINGER_S and (turns.is_down() or not manner.stay):", " >= LINGER_S:"
            ),
        ),
        (f"{HARD}::test_l33_an_idle_supervisor_stays_and_is_never_hung",),
    ),
    Mutant(
        "a-pause-ends-with-its-supervisor",
        "a supervisor that takes over lets paused runs go on",
        (
            Patch(
                "supervise/turn.py",
                "        self._write(entries)\n        requests.remove_settled(",
                "        for run, book in self._books.runs.items():\n"
                '            if "paused" in book.holds:\n'
                "                entries.append(\n"
                '                    Asked(at=now, run=run, why="", request=0, verb="resume", by="", args=())\n'
                "                )\n"
                "        self._write(entries)\n        requests.remove_settled(",
            ),
        ),
        (f"{RING}::test_l40_a_pause_survives_the_supervisor_and_resume_ends_it",),
    ),
    Mutant(
        "remembered-and-not-written",
        "a pause is known to the supervisor and not to its journal",
        (
            Patch(
                "supervise/turn.py",
                "        self.term.append(lines)\n",
                "        self.term.append(\n"
                "            [line for line, entry in zip(lines, entries) if getattr(entry, 'verb', '') != 'pause']\n"
                "        )\n",
            ),
        ),
        ("tests/simulate/test_order_of_a_turn.py::test_i7_what_a_term_remembers_is_what_the_next_one_reads",),
    ),
    Mutant(
        "one-damaged-run-stops-all",
        "a run whose records cannot be read keeps every other run from being looked at",
        (
            Patch(
                "supervise/observe.py",
                "        except WorldError as error:\n            unseen[run] = str(error)\n",
                "        except ZeroDivisionError as error:\n            unseen[run] = str(error)\n",
            ),
        ),
        (f"{HARD}::test_b5_a_damaged_run_never_stops_the_others",),
    ),
)

ENDED = (
    Mutant(
        "nothing-is-swept",
        "an end is recorded while something of the training lives on",
        (
            Patch(
                "runner/watch.py",
                "        self._is_ending = self._is_over = True\n        is_empty = self._is_empty()\n",
                "        self._is_ending = self._is_over = True\n        is_empty = True\n",
            ),
        ),
        (
            f"{LIFE}::test_l9_r34_what_outlives_its_training_is_ended_before_the_record",
            f"{TAKEOVER}::test_p1_ranks_that_outlive_runner_and_launcher_are_ended_before_the_record",
        ),
    ),
    Mutant(
        "the-mark-is-not-looked-for",
        "who left the training's session and tree is not found by its environment",
        (
            Patch(
                "runner/tree.py",
                "                belongs = self._carries_mark(pid)\n",
                "                belongs = False\n",
            ),
        ),
        (
            f"{TAKEOVER}::test_p1_ranks_that_outlive_runner_and_launcher_are_ended_before_the_record",
            "tests/unit/runner/test_tree.py::test_ranks_in_sessions_of_their_own_belong_to_it",
        ),
    ),
    Mutant(
        "what-cannot-be-read-is-gone",
        "a process of this user that may not be read does not keep its attempt open",
        (
            Patch(
                "runner/tree.py",
                "        if found == census.UNREADABLE and not self._ours and self._may_be_of_us(pid):\n",
                "        if False:\n",
            ),
        ),
        ("tests/unit/runner/test_tree.py -k unreadable_process",),
    ),
    Mutant(
        "a-failed-start-is-an-exit",
        "a command that could not be executed is recorded as one that ended with 127",
        (
            Patch(
                "runner/begin.py",
                'ending.never_began(f"spawn failed: {complaint}") if complaint else ending.of_status(status)',
                "ending.of_status(status)",
            ),
        ),
        (f"{LIFE}::test_l54_what_cannot_be_started_never_began",),
    ),
    Mutant(
        "standard-input-is-no-lease",
        "the lease is inherited on a high descriptor alone, which Python's subprocess closes",
        (
            Patch(
                "runner/spawn.py",
                "        standard = (plan.lease, plan.log, plan.log)\n",
                "        null = fcntl.fcntl(os.open(os.devnull, os.O_RDONLY), fcntl.F_DUPFD, 10)\n"
                "        standard = (null, plan.log, plan.log)\n",
            ),
        ),
        (f"{LIFE}::test_it_inherits_the_lease_twice_the_log_and_nothing_else",),
    ),
    Mutant(
        "there-is-no-last-act",
        "a runner whose attempt has ended leaves without looking for a supervisor",
        (
            Patch(
                "runner/life.py",
                '    ring.ensure(place_of(folder, post.order), list(post.order.get("supervisor") or ()))\n',
                "",
            ),
        ),
        (f"{ROOM}::test_p18_the_last_act_starts_a_supervisor_where_none_is",),
    ),
    Mutant(
        "three-early-deaths-are-like-all-others",
        "deaths before the first step go on until the budget ends",
        (
            Patch(
                "decide/policy.py",
                "    if len(early) == EARLY_DEATHS and all(map(is_early, early)):\n",
                "    if False:\n",
            ),
        ),
        (
            f"{RING}::test_r36_three_deaths_before_the_first_step_end_the_run_at_once",
            "tests/unit/decide/test_policy.py::"
            "test_l35_three_deaths_before_the_first_step_within_a_minute_each_end_the_run_at_once",
        ),
    ),
    Mutant(
        "the-budget-has-no-end",
        "attempts without progress are never given up",
        (Patch("decide/policy.py", "    elif len(loop) + 1 >= spec.attempts_max:\n", "    elif False:\n"),),
        (
            "tests/unit/decide/test_policy.py::"
            "test_r36_deaths_without_progress_use_up_the_budget_and_the_first_is_kept_as_evidence",
        ),
    ),
    Mutant(
        "last-words-are-not-heard",
        "the 1 that a launcher makes of everything outranks what its ranks said",
        (
            Patch(
                "decide/endings.py",
                'case.code == RESUME_ME or (case.code is not None and "stopped" in case.words),',
                "case.code == RESUME_ME,",
            ),
        ),
        ("tests/unit/decide/test_endings.py::test_each_ending_is_read_by_its_row",),
    ),
    Mutant(
        "ranks-stop-where-they-stand",
        "each of several ranks is told the step of the first, which others have passed",
        (
            Patch(
                "runner/ranks.py",
                "        return step + STOP_MARGIN_STEPS + int(steps_per_s * TELLING_S)\n",
                "        return step - STOP_MARGIN_STEPS\n",
            ),
        ),
        ("tests/unit/runner/test_ranks.py -k two_steps_beyond",),
    ),
)

TOLD = (
    Mutant(
        "a-safe-stop-sends-term-at-once",
        "a training that reads its flag gets TERM in the middle of its save",
        (
            Patch(
                "runner/stopping.py",
                "            ranks.tell(self._stop_at)\n        if not",
                "            ranks.tell(self._stop_at)\n        return True\n        if not",
            ),
        ),
        (
            f"{STOP}::test_l39_a_training_with_a_page_saves_and_leaves_without_any_signal",
            f"{STOP}::test_p4_two_ranks_leave_at_one_step_though_their_launcher_says_1",
            f"{STOP}::test_l44_a_save_that_grows_is_waited_for_beyond_the_limit",
        ),
    ),
    Mutant(
        "a-lost-terminal-stops-the-run",
        "a hang-up of the view is taken for a wish to stop",
        (
            Patch(
                "cli/view.py",
                "        if self.may_post.is_set() or self._asked_early is not None:\n",
                "        threading.Thread(target=self._post, args=(True,)).start()\n"
                "        if self.may_post.is_set() or self._asked_early is not None:\n",
            ),
        ),
        (f"{RING}::test_l43_ctrl_c_stops_and_a_lost_terminal_only_detaches",),
    ),
    Mutant(
        "a-hang-up-reaches-the-runner",
        "a runner that loses its terminal stops its training",
        (
            Patch("runner/ears.py", "IGNORED = (signal.SIGHUP, ", "IGNORED = ("),
            Patch(
                "runner/ears.py",
                "        for number in (signal.SIGTERM, signal.SIGINT):\n",
                "        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):\n",
            ),
        ),
        (f"{STOP}::test_l43_a_lost_terminal_is_no_reason",),
    ),
    Mutant(
        "the-watchers-own-gap-is-silence",
        "time in which the watcher was not scheduled counts against the training",
        (
            Patch(
                "runner/patience.py",
                "        elif may_be_a_gap and gap_s > GAP_POLLS * POLL_S:\n            given_s = gap_s - POLL_S\n",
                "",
            ),
        ),
        (
            f"{LEFT}::test_r25_a_silent_training_does_not_hang_because_its_watcher_was_stopped",
            "tests/unit/runner/test_patience.py -k r25",
            "tests/unit/runner/test_corpus.py -k legitimate",
        ),
    ),
    Mutant(
        "no-limit-is-ever-reached",
        "a training that stands still stands still for ever, whatever limit was said",
        (
            Patch(
                "runner/patience.py",
                "        if over:\n            clock, timer = min(",
                "        if not over:\n            return None\n        if False:\n            clock, timer = min(",
            ),
        ),
        (
            f"{STOP}::test_silence_without_a_page_is_a_stall_and_its_evidence_is_kept",
            "tests/unit/runner/test_patience.py",
        ),
    ),
    Mutant(
        "intervals-by-the-wall-clock",
        "a step of the wall clock lengthens or shortens every wait",
        (Patch("disk/clock.py", '"mono_s": time.monotonic()', '"mono_s": time.time()'),),
        ("tests/unit/disk/test_clock.py::test_a_wall_clock_that_jumps_ten_years_moves_no_interval",),
    ),
    Mutant(
        "an-inline-run-always-ends-well",
        "the exit code of `run --inline` says nothing of its run",
        (Patch("cli/inline.py", "    return exit_code(snapshot)\n", "    return 0\n"),),
        (f"{INLINE}::test_p13_exit_code_is_the_outcomes",),
    ),
)

KEPT = (
    Mutant(
        "a-door-has-its-name-before-its-words",
        "a door can be seen before what it says is on disk",
        (
            Patch(
                "disk/files.py",
                "        write_all(fd, body)\n        os.fsync(fd)\n"
                "        ours, standing = _link(temporary, path, record)\n",
                "        ours, standing = _link(temporary, path, record)\n"
                "        write_all(fd, body)\n        os.fsync(fd)\n",
            ),
        ),
        (
            "tests/unit/disk/test_files.py::test_killed_before_any_system_call_a_door_is_whole_or_not_there",
            "tests/unit/disk/test_files.py -k a_door_is_on_disk_before",
        ),
    ),
    Mutant(
        "a-name-is-not-made-durable",
        "a door is said to stand before its name would survive a power loss",
        (
            Patch(
                "disk/files.py",
                "        fsync_directory(os.path.dirname(path))\n        keep = ours and lock\n",
                "        keep = ours and lock\n",
            ),
        ),
        (
            "tests/unit/disk/test_files.py::"
            "test_a_door_is_on_disk_before_it_has_its_name_and_its_name_is_before_we_say_so",
        ),
    ),
    Mutant(
        "a-torn-tail-is-damage",
        "a journal whose last record was cut or zero-filled is not read at all",
        (
            Patch(
                "disk/journal.py",
                "        lines, size, crc = scan(data)\n        _check_seal(",
                "        lines, size, crc = scan(data)\n"
                "        if size < len(data):\n"
                '            raise Damaged(f"{path}: byte {size}: not a record")\n'
                "        _check_seal(",
            ),
        ),
        (
            f"{HARD}::test_l22_a_journal_that_was_cut_or_zero_filled_goes_on_from_its_last_whole_record",
            "tests/simulate/test_journal_lives.py -k l22",
        ),
    ),
    Mutant(
        "an-unreadable-journal-is-empty",
        "a folder that may not be listed is taken for one in which nothing was ever said",
        (
            Patch(
                "disk/journal.py",
                "    except FileNotFoundError:\n        return []\n    except OSError as error:\n"
                '        raise WorldError(f"cannot list',
                '    except OSError as error:\n        return []\n        raise WorldError(f"cannot list',
            ),
        ),
        (
            "tests/unit/disk/test_journal.py::"
            "test_a_journal_that_may_not_be_listed_is_unseen_and_no_empty_history",
        ),
    ),
    Mutant(
        "a-damaged-seal-is-read-as-far-as-it-goes",
        "a supervisor goes on from a history of which a sealed part is bent",
        (Patch("disk/journal.py", "        _check_seal(path, seal, data, size, crc)\n", ""),),
        (f"{HARD}::test_l23_a_sealed_record_that_is_damaged_stops_the_place_loudly_and_never_starts_empty",),
    ),
    Mutant(
        "accepted-though-nothing-was-written",
        "the id of a run is printed though its record found no room",
        (
            Patch(
                "cli/accept.py",
                "    environment.write(folder.env, environment_)\n"
                '    files.make_once(folder.record, {"schema": SCHEMA, **to_record(spec)})\n',
                "    try:\n"
                "        environment.write(folder.env, environment_)\n"
                '        files.make_once(folder.record, {"schema": SCHEMA, **to_record(spec)})\n'
                "    except WorldError:\n"
                "        pass\n",
            ),
        ),
        (f"{HARD}::test_l24_on_a_full_disk_a_run_is_refused_in_one_line_and_a_training_goes_on",),
    ),
    Mutant(
        "no-room-is-kept-for-last-words",
        "the record of an end needs room on a disk that is full by then",
        (
            Patch(
                "disk/files.py",
                '            write_all(self._fd, b" " * (self.BYTES - 1) + b"\\n")\n',
                "",
            ),
        ),
        ("tests/unit/disk/test_files.py::test_reserved_room_becomes_a_door_though_the_disk_is_full",),
    ),
    Mutant(
        "the-log-has-no-bound",
        "what a training prints fills the disk",
        (
            Patch(
                "runner/output.py",
                "        if self._is_boundless or self._head + size - self._hole_to <= self._max:\n",
                "        if size >= 0:\n",
            ),
        ),
        (
            f"{ROOM}::test_l28_one_endless_line_is_bounded_and_the_training_never_waits",
            "tests/unit/runner/test_output.py::test_beyond_it_head_and_newest_half_stay",
        ),
    ),
    Mutant(
        "output-goes-through-the-runner",
        "what a training prints goes through a process of ours, which may die",
        (
            Patch(
                "runner/begin.py",
                '    ours, theirs = spawn.open_terminal() if order.get("tty") else (None, None)\n',
                "    ours, theirs = spawn.open_terminal()\n",
            ),
        ),
        (f"{HARD}::test_l29_a_training_that_prints_while_everybody_dies_gets_no_broken_pipe",),
    ),
    Mutant(
        "signals-stay-ignored",
        "a training inherits the signals that whoever started the runner ignored",
        (
            Patch(
                "runner/spawn.py", "        os.setsid()\n        default_signals()\n", "        os.setsid()\n"
            ),
        ),
        (f"{LIFE}::test_l58_whatever_the_runner_was_started_with_the_training_finds_a_tidy_world",),
    ),
    Mutant(
        "the-callers-umask-is-ours",
        "what we write may be read by everybody where the caller's umask lets it",
        (
            Patch(
                "disk/files.py",
                "DIRECTORY_MODE, FILE_MODE = 0o700, 0o600\n",
                "DIRECTORY_MODE, FILE_MODE = 0o777, 0o666\n",
            ),
            Patch(
                "runner/attire.py", "    before = os.umask(UMASK)\n", "    before = os.umask(os.umask(0))\n"
            ),
        ),
        (
            f"{LIFE}::test_l58_whatever_the_runner_was_started_with_the_training_finds_a_tidy_world",
            "tests/unit/disk/test_files.py -k whatever_the_umask",
        ),
    ),
    Mutant(
        "the-supervisors-environment-is-the-trainings",
        "a training gets the environment of whoever happened to start the supervisor",
        (Patch("runner/begin.py", '        caller["env"],\n', "        dict(os.environ),\n"),),
        (f"{RING}::test_p15_each_run_has_its_callers_environment_at_every_attempt",),
    ),
    Mutant(
        "the-environment-is-in-run-json",
        "the caller's environment is copied into the record that everybody shows",
        (
            Patch(
                "cli/accept.py",
                '{"schema": SCHEMA, **to_record(spec)}',
                '{"schema": SCHEMA, **to_record(spec), "environment": dict(environment_)}',
            ),
        ),
        (f"{VERBS}::test_p15_no_secret_is_in_any_record_but_the_environments",),
    ),
)

REFUSED = (
    Mutant(
        "what-everybody-can-write-is-obeyed",
        "a workspace that others can write is used",
        (
            Patch(
                "disk/workspace.py",
                "        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):\n",
                "        if False:\n",
            ),
        ),
        (f"{VERBS}::test_p12_a_workspace_that_others_can_write_is_refused_and_nothing_is_executed",),
    ),
    Mutant(
        "what-is-anothers-is-obeyed",
        "a workspace of another user is used",
        (
            Patch(
                "disk/workspace.py",
                "        if found.st_uid not in (os.geteuid(), 0) and not shared:\n",
                "        if False:\n",
            ),
        ),
        (f"{VERBS}::test_p12_a_workspace_of_another_user_is_refused",),
    ),
    Mutant(
        "an-unknown-option-is-ignored",
        "a word that is no option changes nothing and is not said",
        (Patch("cli/parse.py", "        if unknown:\n", "        if False:\n"),),
        (f"{HARD}::test_bad_input_gets_one_clear_line_and_the_right_exit_code",),
    ),
    Mutant(
        "an-unknown-key-is-ignored",
        "a misspelt key of the configuration changes nothing and is not said",
        (
            Patch(
                "settings.py",
                "            if known is not None and name not in known:\n",
                "            if known is not None and name not in known:\n"
                "                continue\n            if False:\n",
            ),
        ),
        (f"{HARD}::test_a_wrong_configuration_is_named_with_file_line_and_nearest_key",),
    ),
    Mutant(
        "read-only-is-try-again",
        "a workspace that can never be written is said to be a matter of time",
        (
            Patch(
                "disk/workspace.py",
                "_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)\n",
                "_NOT_WRITABLE = ()\n",
            ),
        ),
        ("tests/unit/disk/test_workspace.py::test_a_workspace_that_cannot_be_written_is_refused",),
    ),
    Mutant(
        "a-damaged-record-is-none",
        "a record that does not say what it should is taken for one that is not there",
        (
            Patch(
                "disk/files.py",
                "    if body is None:\n        return None\n    return decode(body, path)\n",
                "    if body is None:\n        return None\n"
                "    try:\n        return decode(body, path)\n    except Damaged:\n        return None\n",
            ),
        ),
        ("tests/unit/disk/test_attempt.py::test_a_torn_door_is_damaged_and_named",),
    ),
)

LIVES = (*TAKEN_OVER, *PLACE, *ENDED, *TOLD, *KEPT, *REFUSED)

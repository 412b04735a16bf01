"""What outlast must survive: each scenario, the tests that live through it, and a planted bug that turns the first red.

The rows are values: `scripts/scenarios.py` prints them as docs/scenarios.md, `tests/test_scenarios.py` holds them true.
The numbers are those of the project's list of scenarios; gaps are intended.
"""

from typing import NamedTuple

RING = "tests/live/test_ring.py::test_"
HARD = "tests/live/test_hardships.py::test_"
LEFT = "tests/live/test_scenarios_left.py::test_"
LIFE = "tests/live/test_runner_life.py::test_"
TAKEOVER = "tests/live/test_runner_takeover.py::test_"
STOP = "tests/live/test_runner_stop.py::test_"
ROOM = "tests/live/test_runner_room.py::test_"
INLINE = "tests/live/test_cli_inline.py::test_"
VERBS = "tests/live/test_cli_verbs.py::test_"
VIEW = "tests/live/test_cli_view.py::test_"
PAGES = "tests/live/test_sdk_processes.py::test_"
HANGS = "tests/live/test_hang_runs.py::test_"
HARD_PROGRESS = "tests/live/test_progress_hardships.py::test_"
RANKS_LIVE = "tests/live/test_ranks_live.py::test_"
EVIDENCE = "tests/live/test_hang_evidence.py::test_"
INCIDENT = "tests/unit/runner/test_incident.py::test_"
CORPUS = "tests/unit/runner/test_corpus.py::test_"
READING = "tests/unit/runner/output_reading/test_reading.py::test_"
FOLLOWING = "tests/unit/runner/output_reading/test_following.py::test_"
LINES = "tests/unit/runner/output_reading/test_lines.py::test_"
DATA_LOADING = "tests/live/test_sdk_torch.py::test_"
RANK_PAGES = "tests/unit/runner/test_ranks.py::test_"
KILLED = "tests/crash/test_supervisor_killed.py::test_"
RUNNER_KILLED = "tests/crash/test_runner_killed.py::test_"
CONTRACT = "tests/contract/test_backend.py::test_"
LIVES = "tests/simulate/test_lives.py::test_"
JOURNAL_LIVES = "tests/simulate/test_journal_lives.py::test_"
TURN = "tests/simulate/test_order_of_a_turn.py::test_"
MODEL = "tests/model/test_walk.py::test_"
CORE = "tests/unit/decide/test_core.py::test_"
ENDINGS = "tests/unit/decide/test_endings.py::test_"
POLICY = "tests/unit/decide/test_policy.py::test_"
RESUME = "tests/unit/decide/test_resume.py::test_"
FILES = "tests/unit/disk/test_files.py::test_"
JOURNAL = "tests/unit/disk/test_journal.py::test_"
IDENTITY = "tests/unit/disk/test_identity.py::test_"
ATTEMPT = "tests/unit/disk/test_attempt.py::test_"
CLOCK = "tests/unit/disk/test_clock.py::test_"
WORKSPACE = "tests/unit/disk/test_workspace.py::test_"
OUTPUT = "tests/unit/runner/test_output.py::test_"
PATIENCE = "tests/unit/runner/test_patience.py::test_"
TREE = "tests/unit/runner/test_tree.py::test_"
SETTINGS = "tests/unit/test_settings.py::test_"
CHECKPOINTS = "tests/live/test_checkpoints.py::test_"
DAMAGE = "tests/contract/test_checkpoint_damage.py::test_"
FRAMEWORKS = "tests/contract/test_checkpoint_frameworks.py::test_"
HOSTILE = "tests/contract/test_checkpoint_hostile.py::test_"
HARDSHIPS = "tests/contract/test_checkpoint_hardships.py::test_"
READY = "tests/unit/work/test_ready.py::test_"
LOCK = "tests/live/test_lock.py::test_"
LOCKED = "tests/unit/work/test_locked.py::test_"
BASE_MODEL = "tests/unit/checkpoints/lock/test_base.py::test_"
CODE = "tests/unit/work/test_code_state.py::test_"
RULING = "tests/unit/decide/test_lock.py::test_"
LOCK_VERB = "tests/unit/cli/test_lock.py::test_"
RUN_OPTIONS = "tests/unit/cli/test_run.py::test_"
COMPLETION = "tests/live/test_completion.py::test_"
DIVERGENCE = "tests/live/test_divergence.py::test_"
LOSSES = "tests/unit/runner/test_divergence.py::test_"
ROLLBACK = "tests/unit/decide/test_rollback.py::test_"
FINAL = "tests/contract/test_checkpoint_final.py::test_"
HF = "tests/live/test_hf.py::test_"


class Scenario(NamedTuple):
    """`says`: set-up -> outcome. `tests` are the most telling ones as FILE::FUNCTION; `fault` is a name in
    `tests/mutants`, and with that bug planted the first of them is red."""

    id: str
    says: str
    tests: tuple[str, ...]
    fault: str


LOCAL = (
    Scenario(
        "L1",
        "the supervisor is SIGKILLed in mid-training -> the next adopts it: same attempt, output unbroken, exit kept",
        (
            RING + "l1_the_supervisor_killed_in_mid_training_is_replaced_and_adopts_it",
            CONTRACT + "a_living_attempt_is_seen_running_and_watched_where_it_began",
        ),
        "a-locked-claim-is-a-dead-runner",
    ),
    Scenario(
        "L2",
        "supervisor and runner are SIGKILLed, the training lives -> a new runner watches the same attempt; nothing is "
        "started twice, limits and stops go on",
        (
            TAKEOVER + "l2_the_same_attempt_goes_on_without_a_second_start",
            RING + "l2_supervisor_and_runner_killed_the_training_is_adopted",
            RING + "l2_an_adopted_training_can_still_be_stopped",
        ),
        "adoption-starts-the-command-again",
    ),
    Scenario(
        "L3",
        "the training is SIGKILLed -> signal 9 is recorded, the next attempt resumes from the newest checkpoint",
        (
            RING + "l3_a_killed_training_resumes_from_its_newest_checkpoint",
            RESUME + "the_newest_step_by_number_is_chosen_whatever_the_files_times_say",
        ),
        "the-oldest-checkpoint-is-taken",
    ),
    Scenario(
        "L5",
        "many supervisors start at one instant -> one holds the place, the others leave with 75 and name it",
        (
            RING + "l5_of_many_supervisors_started_at_once_one_holds_the_place",
            JOURNAL + "two_hundred_races_for_a_term_have_one_winner_each",
        ),
        "the-lock-is-not-asked",
    ),
    Scenario(
        "L6",
        "the lock file is deleted while it is held -> its holder sees it and leaves; there are never two",
        (
            LEFT + "l6_who_holds_a_lock_file_that_was_deleted_leaves_the_place",
            RING + "l6_a_lock_file_deleted_under_a_supervisor_never_makes_two",
        ),
        "any-lock-file-will-do",
    ),
    Scenario(
        "L7",
        "a pid in a record belongs to another program by now -> it is neither believed nor signalled",
        (
            IDENTITY + "a_pid_that_the_kernel_gave_to_another_is_neither_alive_nor_signalled",
            TAKEOVER + "l7_a_pid_that_is_anothers_by_now_is_left_alone",
            TREE + "l7_a_session_whose_number_is_anothers_by_now_is_not_ours",
        ),
        "pid-without-start-time",
    ),
    Scenario(
        "L8",
        "a process is another user's and we may not signal it -> it counts as alive",
        (
            IDENTITY + "a_process_that_proc_hides_from_us_counts_as_alive",
            IDENTITY + "a_process_of_another_user_counts_as_alive_and_a_refused_signal_is_no_death",
        ),
        "who-is-hidden-is-gone",
    ),
    Scenario(
        "L9",
        "workers outlive their training -> no record of the end and no next attempt before all of them are gone",
        (
            LIFE + "l9_r34_what_outlives_its_training_is_ended_before_the_record",
            RING + "l9_r34_what_a_training_left_behind_is_ended_before_the_next_attempt",
        ),
        "nothing-is-swept",
    ),
    Scenario(
        "L10",
        "a supervisor dies while its children live -> the next one starts at once: no lock was inherited",
        (
            FILES + "no_lock_of_ours_is_inherited_by_a_program_that_we_start",
            HARD + "l10_a_supervisor_that_dies_leaves_no_lock_behind_in_what_it_started",
            LIFE + "l10_the_claim_is_not_inherited",
        ),
        "the-supervisors-lock-is-inherited",
    ),
    Scenario(
        "L19",
        "killed between making a record and giving it its name -> it is whole or not there, and nothing happens twice",
        (
            FILES + "killed_before_any_system_call_a_door_is_whole_or_not_there",
            RUNNER_KILLED + "a_kill_from_outside_at_the_very_link_of_a_door",
        ),
        "a-door-has-its-name-before-its-words",
    ),
    Scenario(
        "L21",
        "power is lost after a name was made -> nothing is acknowledged before its folder is on disk",
        (
            FILES + "a_door_is_on_disk_before_it_has_its_name_and_its_name_is_before_we_say_so",
            JOURNAL + "the_opening_of_a_term_is_on_disk_before_it_has_its_name",
        ),
        "a-name-is-not-made-durable",
    ),
    Scenario(
        "L22",
        "the journal is cut in mid-record or ends in zeros -> the last whole record counts, the tail stays as evidence",
        (
            HARD + "l22_a_journal_that_was_cut_or_zero_filled_goes_on_from_its_last_whole_record",
            JOURNAL_LIVES + "l22_whole_lines_before_a_tear_stay_and_the_tear_is_kept_as_evidence",
        ),
        "a-torn-tail-is-damage",
    ),
    Scenario(
        "L23",
        "the journal cannot be read, or a sealed part is bent -> nothing starts, file and byte are named; never empty",
        (
            HARD + "l23_a_sealed_record_that_is_damaged_stops_the_place_loudly_and_never_starts_empty",
            JOURNAL + "a_segment_that_may_not_be_read_is_unseen_and_no_empty_history",
        ),
        "a-damaged-seal-is-read-as-far-as-it-goes",
    ),
    Scenario(
        "L24",
        "the disk is full -> a new run is refused in one line and no id is printed; running trainings go on",
        (
            HARD + "l24_on_a_full_disk_a_run_is_refused_in_one_line_and_a_training_goes_on",
            HARD + "l24_an_end_that_comes_on_a_full_disk_is_kept_and_concluded_when_space_returns",
            JOURNAL + "a_full_disk_ends_the_term_and_the_next_one_goes_on_with_all_that_was_acknowledged",
        ),
        "accepted-though-nothing-was-written",
    ),
    Scenario(
        "L28",
        "a training prints one line without end -> its log is bounded, it never waits, what is left out is said",
        (
            ROOM + "l28_one_endless_line_is_bounded_and_the_training_never_waits",
            HARD + "l28_a_training_that_prints_without_end_is_bounded_and_never_blocked",
        ),
        "the-log-has-no-bound",
    ),
    Scenario(
        "L29",
        "supervisor and runner die while the training prints -> no broken pipe, no line is lost",
        (HARD + "l29_a_training_that_prints_while_everybody_dies_gets_no_broken_pipe",),
        "output-goes-through-the-runner",
    ),
    Scenario(
        "L30",
        "the wall clock jumps by ten years -> no interval changes, no hang is declared",
        (
            CLOCK + "a_wall_clock_that_jumps_ten_years_moves_no_interval",
            HARD + "l30_a_wall_clock_that_jumps_ten_years_changes_nothing",
        ),
        "intervals-by-the-wall-clock",
    ),
    Scenario(
        "L33",
        "a supervisor that is to stay has nothing to do -> it stays, is healthy and takes the next run",
        (HARD + "l33_an_idle_supervisor_stays_and_is_never_hung",),
        "an-idle-supervisor-leaves",
    ),
    Scenario(
        "L39",
        "stopped in mid-training -> it saves and leaves, the run is queued with its step, no attempt is charged",
        (
            POLICY + "l39_what_was_asked_for_consumes_no_attempt_and_waits_for_nothing",
            STOP + "l39_a_training_with_a_page_saves_and_leaves_without_any_signal",
            RING + "l39_stopped_with_down_a_run_is_left_queued_and_goes_on_with_up",
        ),
        "a-pause-is-charged",
    ),
    Scenario(
        "L40",
        "paused, then the supervisor goes -> it is still paused under the next one, until it is resumed",
        (RING + "l40_a_pause_survives_the_supervisor_and_resume_ends_it",),
        "a-pause-ends-with-its-supervisor",
    ),
    Scenario(
        "L43",
        "TERM twice, Ctrl-C, a lost terminal -> safe stop, stop now; the terminal's end only detaches",
        (
            RING + "l43_ctrl_c_stops_and_a_lost_terminal_only_detaches",
            RING + "l43_sigint_in_the_view_cancels_the_run_with_130",
            STOP + "l43_a_second_term_stops_now",
        ),
        "a-lost-terminal-stops-the-run",
    ),
    Scenario(
        "L54",
        "the command cannot be executed -> never began, by its own words; the rules of attempts apply",
        (
            LIFE + "l54_what_cannot_be_started_never_began",
            RING + "l54_a_command_that_cannot_be_started_fails_by_the_rules_and_the_supervisor_lives",
        ),
        "a-failed-start-is-an-exit",
    ),
    Scenario(
        "L58",
        "descriptors 0-2 closed, umask 000, signals ignored, junk on PYTHONPATH -> all is whole, records are private",
        (
            LIFE + "l58_whatever_the_runner_was_started_with_the_training_finds_a_tidy_world",
            HARD + "l58_whatever_the_caller_left_open_or_unset_the_run_is_whole_and_private",
            VERBS + "l58_junk_at_the_start_changes_nothing",
        ),
        "signals-stay-ignored",
    ),
)

TRAININGS = (
    Scenario(
        "R25",
        "the watcher is stopped for longer than the limit -> the training is untouched, and on return there is no hang",
        (
            LEFT + "r25_a_silent_training_does_not_hang_because_its_watcher_was_stopped",
            PATIENCE + "r25_time_in_which_the_watcher_was_not_scheduled_is_given_back",
            HARD + "r25_a_watcher_that_was_stopped_costs_the_training_nothing_and_sees_no_false_hang",
        ),
        "the-watchers-own-gap-is-silence",
    ),
    Scenario(
        "R26",
        "the supervisor is SIGKILLed at its n-th write -> the same end: each attempt once, nothing trained twice",
        (
            KILLED + "r26_killed_at_its_nth_write_the_supervisor_goes_on_to_the_same_end",
            KILLED + "r26_killed_while_it_copies_the_ground_floor_the_next_supervisor_makes_it_whole",
            RUNNER_KILLED + "killed_at_any_call_of_a_kind_the_end_is_the_same",
        ),
        "a-chosen-attempt-is-launched-once",
    ),
    Scenario(
        "R34",
        "an orphan of a crash lives in a session of its own -> it is ended before the next attempt begins",
        (
            LIFE + "l9_r34_what_outlives_its_training_is_ended_before_the_record",
            RING + "l9_r34_what_a_training_left_behind_is_ended_before_the_next_attempt",
        ),
        "nothing-is-swept",
    ),
    Scenario(
        "R36",
        "the same crash again and again without progress -> the budget ends the run, the first death is the evidence",
        (
            POLICY + "r36_deaths_without_progress_use_up_the_budget_and_the_first_is_kept_as_evidence",
            RING + "r36_three_deaths_before_the_first_step_end_the_run_at_once",
        ),
        "the-budget-has-no-end",
    ),
)

PRACTICE = (
    Scenario(
        "P1",
        "runner and launcher are SIGKILLed, ranks live in sessions of their own -> no new attempt until they are gone",
        (
            TAKEOVER + "p1_ranks_that_outlive_runner_and_launcher_are_ended_before_the_record",
            TREE + "ranks_in_sessions_of_their_own_belong_to_it",
            TREE + "p1_an_unreadable_process_of_this_user_keeps_it_open_unless_it_is_older",
        ),
        "the-mark-is-not-looked-for",
    ),
    Scenario(
        "P4",
        "ranks stop safely and their launcher returns 1 -> interrupted and resumable, not a crash",
        (
            ENDINGS + "each_ending_is_read_by_its_row",
            STOP + "p4_two_ranks_leave_at_one_step_though_their_launcher_says_1",
            RANKS_LIVE + "p4_r30_four_ranks_that_are_told_to_stop_agree_on_one_step_and_go_on_from_it",
        ),
        "last-words-are-not-heard",
    ),
    Scenario(
        "P11",
        "one workspace, two hosts -> each host judges its own runs only; the other's are shown and never touched",
        (
            TAKEOVER + "p11_what_began_elsewhere_is_not_judged_here",
            HARD + "p11_another_host_sees_a_run_and_never_touches_it",
            CONTRACT + "a_claim_of_another_host_cannot_be_judged_from_here",
        ),
        "what-began-elsewhere-is-judged-here",
    ),
    Scenario(
        "P12",
        "the workspace is another user's or can be written by others -> refused with 4, nothing is executed",
        (
            VERBS + "p12_a_workspace_that_others_can_write_is_refused_and_nothing_is_executed",
            VERBS + "p12_a_workspace_of_another_user_is_refused",
        ),
        "what-everybody-can-write-is-obeyed",
    ),
    Scenario(
        "P13",
        "inside a SLURM job or as process 1 -> inline: restarts in place, the run's exit code, one supervisor per job",
        (
            INLINE + "p13_exit_code_is_the_outcomes",
            RING + "p13_inside_a_slurm_job_run_is_inline_and_its_exit_code_is_the_runs",
            HARD + "p13_as_the_first_process_of_a_container_run_is_inline_and_ends_its_tree",
        ),
        "an-inline-run-always-ends-well",
    ),
    Scenario(
        "P15",
        "a run from another environment while the supervisor lives in the first -> each attempt has its caller's "
        "environment, and no secret is in any other record",
        (
            RING + "p15_each_run_has_its_callers_environment_at_every_attempt",
            VERBS + "p15_no_secret_is_in_any_record_but_the_environments",
        ),
        "the-supervisors-environment-is-the-trainings",
    ),
    Scenario(
        "P16",
        "a stop during a long save -> the save is waited for, no signal tears it",
        (
            STOP + "l39_a_training_with_a_page_saves_and_leaves_without_any_signal",
            STOP + "l44_a_save_that_grows_is_waited_for_beyond_the_limit",
        ),
        "a-safe-stop-sends-term-at-once",
    ),
    Scenario(
        "P18",
        "the supervisor of a detached run is killed, then the training ends -> the runner's last act starts another",
        (
            ROOM + "p18_the_last_act_starts_a_supervisor_where_none_is",
            RING + "p18_the_runners_last_act_starts_a_supervisor",
        ),
        "there-is-no-last-act",
    ),
)

OF_THE_RING = (
    Scenario(
        "stall",
        "no progress for longer than --stall-limit -> the attempt is ended as a hang, with evidence, and restarted",
        (
            STOP + "silence_without_a_page_is_a_stall_and_its_evidence_is_kept",
            RING + "a_stall_with_an_explicit_limit_ends_the_attempt_and_restarts_it",
        ),
        "no-limit-is-ever-reached",
    ),
    Scenario(
        "early deaths",
        "three deaths before the first step, each within a minute -> the run has failed",
        (
            RING + "r36_three_deaths_before_the_first_step_end_the_run_at_once",
            POLICY + "l35_three_deaths_before_the_first_step_within_a_minute_each_end_the_run_at_once",
        ),
        "three-early-deaths-are-like-all-others",
    ),
    Scenario(
        "bad input: options",
        "an unknown option, a missing command, a wrong value -> one line that names it, exit 2, nothing is made",
        (HARD + "bad_input_gets_one_clear_line_and_the_right_exit_code",),
        "an-unknown-option-is-ignored",
    ),
    Scenario(
        "bad input: configuration",
        "outlast.yaml has an unknown key or a wrong type -> file, line and nearest key are named, nothing starts",
        (
            HARD + "a_wrong_configuration_is_named_with_file_line_and_nearest_key",
            SETTINGS + "wrong_type_is_named_with_its_line",
        ),
        "an-unknown-key-is-ignored",
    ),
    Scenario(
        "bad input: workspace",
        "the workspace cannot be written or read -> refused with 4, and what to do",
        (WORKSPACE + "a_workspace_that_cannot_be_written_is_refused",),
        "read-only-is-try-again",
    ),
    Scenario(
        "bad input: full disk",
        "no room when an attempt ends -> its record has its room already, nothing is lost",
        (
            FILES + "reserved_room_becomes_a_door_though_the_disk_is_full",
            ROOM + "the_end_is_recorded_though_the_disk_is_full",
            ROOM + "without_room_for_its_last_words_nothing_begins",
        ),
        "no-room-is-kept-for-last-words",
    ),
    Scenario(
        "bad input: damaged record",
        "a record says nothing that we know -> it is named and never taken for none; the other runs go on",
        (
            ATTEMPT + "a_torn_door_is_damaged_and_named",
            HARD + "b5_a_damaged_run_never_stops_the_others",
        ),
        "a-damaged-record-is-none",
    ),
)

PROGRESS = (
    Scenario(
        "R18",
        "a deadlock in C with the GIL held -> a hang soon after its limit, the Python stack is kept, then the end",
        (
            HANGS + "r18_to_r20_an_unmodified_training_that_stands_is_ended_with_its_stack_and_goes_on",
            INCIDENT + "every_kind_of_hang_is_shown_with_its_line_in_a_shell_too",
            CORPUS + "a_hang_is_declared_seconds_after_its_limit",
        ),
        "no-stacks-are-asked-for",
    ),
    Scenario(
        "R19",
        "a deadlock without the GIL, beside a thread that lives on -> still a hang",
        (HANGS + "r18_to_r20_an_unmodified_training_that_stands_is_ended_with_its_stack_and_goes_on",),
        "a-declared-hang-ends-nobody",
    ),
    Scenario(
        "R20",
        "an endless loop in the user's code -> a hang by no progress, and its line is shown",
        (HANGS + "r18_to_r20_an_unmodified_training_that_stands_is_ended_with_its_stack_and_goes_on",),
        "where-a-rank-stood-is-not-said",
    ),
    Scenario(
        "R22",
        "the first step takes many times as long as a step may -> it has a limit of its own",
        (
            HARD_PROGRESS + "r22_a_slow_first_step_has_a_limit_of_its_own_however_quick_the_others_are",
            CORPUS + "what_is_legitimate_is_not_ended",
        ),
        "the-first-step-is-like-all-others",
    ),
    Scenario(
        "R23",
        "a long evaluation or save inside a section that declares it -> no kill; undeclared -> ended with its stack",
        (
            HARD_PROGRESS
            + "r23_an_evaluation_that_declares_its_limit_is_left_alone_and_one_that_does_not_is_ended",
            HANGS + "r23_a_declared_section_may_take_as_long_as_it_says_although_steps_have_a_shorter_limit",
            HANGS + "a_training_with_pages_is_judged_by_its_steps_and_named_with_its_section",
        ),
        "the-code-declares-no-limit",
    ),
    Scenario(
        "R27",
        "of two ranks one sleeps, the other loses patience first -> the sleeper is the culprit, both stacks are kept",
        (
            RANKS_LIVE + "r27_of_two_ranks_the_one_that_sleeps_is_the_culprit_though_the_other_raised_first",
            EVIDENCE + "rank_that_sleeps_is_named_whatever_the_other_waits_in",
            EVIDENCE + "rank_that_raised_first_is_not_the_culprit",
        ),
        "the-first-rank-is-blamed",
    ),
    Scenario(
        "R28",
        "a rank is SIGKILLed -> one restart from the newest checkpoint, nothing of the first attempt lives",
        (RANKS_LIVE + "r28_a_rank_that_is_killed_costs_one_restart_and_leaves_no_orphan",),
        "a-crash-of-a-rank-is-final",
    ),
    Scenario(
        "R30",
        "four ranks are told to stop -> they agree on one step and one checkpoint; TERM to one of them -> none is torn",
        (
            RANKS_LIVE + "p4_r30_four_ranks_that_are_told_to_stop_agree_on_one_step_and_go_on_from_it",
            RANKS_LIVE
            + "r30_a_term_to_one_rank_of_four_leaves_no_torn_checkpoint_and_all_begin_again_from_one",
        ),
        "each-rank-stops-where-it-is",
    ),
    Scenario(
        "R32",
        "ranks see different newest checkpoints -> all resume from the one that was checked before any of them began",
        (
            RANKS_LIVE
            + "r32_ranks_that_see_different_newest_checkpoints_resume_from_the_one_that_was_checked",
            RESUME + "the_newest_step_by_number_is_chosen_whatever_the_files_times_say",
        ),
        "a-rank-is-told-no-checkpoint",
    ),
    Scenario(
        "R33",
        "a data-loading process is SIGKILLed -> torch ends the training, it is tried again; no loader speaks for it",
        (
            RANKS_LIVE
            + "r33_a_loader_that_is_killed_ends_its_training_as_torch_does_and_never_speaks_for_it",
            DATA_LOADING + "workers_of_a_dataloader_never_speak_for_their_rank",
        ),
        "a-loader-speaks-for-its-rank",
    ),
    Scenario(
        "L50",
        "a bit of the newest checkpoint flips, or it is cut off -> seen, moved away, the one before is used",
        (
            CHECKPOINTS + "the_newest_is_damaged_and_the_last_whole_one_is_resumed_from",
            DAMAGE + "each_flipped_bit_of_what_checksums_prove_is_seen",
            READY + "what_is_newer_and_torn_or_not_finite_is_moved_out_of_the_way_and_nothing_else",
        ),
        "checksums-are-not-compared",
    ),
    Scenario(
        "R4",
        "the second half of a file is zeros, its length is right -> torn, where it keeps checksums",
        (
            DAMAGE + "a_second_half_of_zeros_is_seen_where_something_proves_the_content",
            DAMAGE + "what_no_checksum_proves_is_never_said_to_be_proven",
        ),
        "checksums-are-not-compared",
    ),
    Scenario(
        "R6",
        "a part is cut off anywhere, empty, or missing -> torn, named, and nothing of ours falls over it",
        (
            DAMAGE + "a_part_that_is_missing_makes_it_torn",
            DAMAGE + "a_file_that_is_cut_off_anywhere_is_torn",
        ),
        "what-is-written-last-is-not-looked-for",
    ),
    Scenario(
        "R7",
        "a hostile pickle in a .pt, .ckpt or .metadata -> never run, unsure, what it would run is named",
        (
            DAMAGE + "a_hostile_file_is_never_run_and_never_resumed_from",
            DAMAGE + "a_hostile_metadata_is_never_run",
            DAMAGE + "a_pickle_that_asks_for_all_memory_is_refused",
        ),
        "a-pickle-imports-what-it-names",
    ),
    Scenario(
        "readers",
        "a pickle that is hashed for ever, crashes its reader or wants all memory -> unsure, all others are judged",
        (
            HOSTILE + "one_that_ends_its_reader_costs_only_itself_among_many",
            HOSTILE + "a_file_that_ends_its_reader_is_unsure_and_an_older_one_is_resumed_from",
            HOSTILE + "inside_of_other_formats_it_is_unsure_as_well",
        ),
        "a-hostile-file-hides-all-behind-it",
    ),
    Scenario(
        "ranks",
        "the last rank of DeepSpeed never wrote its part, a chunk of Orbax is missing or short -> torn",
        (
            FRAMEWORKS + "the_last_ranks_that_are_missing_are_missed_although_the_rest_has_no_gap",
            FRAMEWORKS + "every_data_file_of_orbax_that_the_index_needs_is_missed_and_measured",
        ),
        "the-last-ranks-are-not-missed",
    ),
    Scenario(
        "hard",
        "links in circles and to nothing, 50 GB of holes, 200,000 files, folders of others -> judged in time or unsure",
        (
            HARDSHIPS + "links_in_circles_beside_a_checkpoint_and_inside_of_it_end_nowhere",
            HARDSHIPS + "fifty_gigabytes_that_are_mostly_holes_are_read_as_far_as_the_time_reaches",
            HARDSHIPS + "a_checkpoint_of_two_hundred_thousand_files_is_judged_in_the_time_of_a_start",
        ),
        "links-are-followed-wherever-they-lead",
    ),
    Scenario(
        "weights",
        "the newest checkpoint holds a NaN among its weights -> the last finite one is resumed from",
        (
            CHECKPOINTS + "the_newest_is_damaged_and_the_last_whole_one_is_resumed_from",
            DAMAGE + "weights_that_are_not_finite_are_found_by_name_and_all_else_is_not",
        ),
        "nan-is-a-number",
    ),
    Scenario(
        "R42",
        "the wall clock jumps by an hour to and fro -> no false hang, and a true one is found in time",
        (
            HARD_PROGRESS + "r42_a_wall_clock_that_jumps_an_hour_to_and_fro_is_no_hang_and_hides_none",
            CLOCK + "a_wall_clock_that_jumps_ten_years_moves_no_interval",
        ),
        "the-watch-goes-by-the-wall-clock",
    ),
    Scenario(
        "L32",
        "it computes, makes no step and is deaf to TERM -> evidence, TERM, grace, KILL to all of it, the next attempt",
        (
            HARD_PROGRESS
            + "l32_a_deaf_tree_that_computes_and_makes_no_step_is_ended_in_its_order_and_tried_again",
        ),
        "the-tree-is-ended-before-the-evidence",
    ),
    Scenario(
        "L34",
        "a page on which nobody beats while the log tells of steps -> no hang (no telemetry is none)",
        (
            HARD_PROGRESS + "l34_a_page_on_which_nobody_beats_leaves_the_word_to_the_log",
            HARD_PROGRESS + "l34_a_page_that_stands_while_the_log_goes_on_is_no_telemetry_and_no_hang",
            HANGS + "l34_a_thread_that_beats_and_an_output_that_grows_prove_nothing_once_steps_are_known",
        ),
        "a-page-that-never-beats-speaks",
    ),
    Scenario(
        "chatter",
        "a thread prints and beats while the steps that the log told of stand -> a hang",
        (HANGS + "l34_a_thread_that_beats_and_an_output_that_grows_prove_nothing_once_steps_are_known",),
        "any-output-is-progress",
    ),
    Scenario(
        "early stopping",
        "a training says `done` before its own last step -> completed, unless a person gave it a target",
        (HARD_PROGRESS + "a_training_that_says_done_before_its_own_total_is_completed_and_not_tried_again",),
        "who-stops-early-is-short",
    ),
    Scenario(
        "P3",
        "no room for a page, or no right to make one -> the training goes on, `no exact progress` is said once",
        (
            HARD_PROGRESS + "p3_without_room_for_a_page_the_training_goes_on_and_says_so_once",
            PAGES + "a_tmpfs_without_room_for_a_name_is_said_once_and_the_training_lives",
            PAGES + "nobody_can_truncate_the_page_under_the_training",
        ),
        "a-missing-page-is-not-said",
    ),
    Scenario(
        "page deleted",
        "the heartbeat folder is deleted under the training -> its page is read, judged and told to stop as before",
        (
            HARD_PROGRESS + "p3_a_page_that_is_deleted_under_the_training_is_read_judged_and_told_as_before",
            PAGES + "deleted_under_the_training_the_page_is_read_on_and_the_training_lives",
            RANK_PAGES + "p3_pages_deleted_or_scribbled_over_keep_their_last_state",
        ),
        "a-page-without-its-name-is-forgotten",
    ),
    Scenario(
        "P5",
        "a shell around the training, stacks are asked for -> it does not die of the question",
        (HANGS + "p5_a_shell_around_the_training_does_not_die_of_the_question",),
        "everybody-gets-the-stack-signal",
    ),
    Scenario(
        "P14",
        "bars of evaluation, Map and loading reach their ends -> never read as progress or as the target",
        (
            HARD_PROGRESS + "p14_bars_of_evaluations_maps_and_loading_are_neither_progress_nor_the_target",
            READING + "p14_no_evaluation_map_or_loading_bar_is_read_as_progress_or_as_the_target",
        ),
        "every-bar-is-training",
    ),
    Scenario(
        "log: rotated",
        "the log is renamed, truncated, or full of binary -> it is read on, and no step is missed for long",
        (
            HARD_PROGRESS + "a_log_that_is_rotated_truncated_or_binary_is_read_on",
            FOLLOWING + "a_file_that_was_emptied_is_read_anew",
        ),
        "an-emptied-log-is-read-on",
    ),
    Scenario(
        "log: no newline",
        "only carriage returns -> steps are read; no line end at all -> nothing is invented, and nobody is ended",
        (
            HARD_PROGRESS + "a_log_of_carriage_returns_only_is_read_as_steps",
            HARD_PROGRESS + "a_log_without_any_line_end_proves_nothing_and_hangs_nobody",
        ),
        "a-carriage-return-ends-no-line",
    ),
    Scenario(
        "log: 10 GB line",
        "a line of ten gigabytes -> the runner stays small, and what follows is read",
        (
            HARD_PROGRESS + "a_line_of_ten_gigabytes_leaves_the_runner_small_and_what_follows_is_read",
            LINES + "ten_gigabytes_without_a_line_end_take_no_memory",
        ),
        "all-of-a-flood-is-read",
    ),
    Scenario(
        "log: 100 MB/s",
        "a training prints 100 MB/s -> it never waits, its steps are known, and following it costs little",
        (
            HARD_PROGRESS + "a_training_that_prints_a_hundred_megabytes_a_second_is_followed_for_little",
            FOLLOWING
            + "of_a_hundred_megabytes_in_a_second_only_the_newest_are_read_and_the_rest_is_reported",
        ),
        "all-of-a-flood-is-read",
    ),
    Scenario(
        "output closed",
        "a training closes its standard output and error -> judged by its steps, and a hang still shows its stacks",
        (
            HARD_PROGRESS
            + "a_training_that_closes_its_output_is_judged_by_its_steps_and_its_hang_is_explained",
            HARD_PROGRESS + "a_training_without_the_sdk_that_closes_its_output_is_left_alone",
        ),
        "stacks-go-to-standard-error",
    ),
    Scenario(
        "64 ranks",
        "64 ranks on one node, one hangs -> it is named, all show where they stand within the deadline, for little",
        (
            RANKS_LIVE
            + "of_sixty_four_ranks_on_one_node_the_one_that_hangs_is_named_within_the_deadline_for_little",
            INCIDENT + "sixty_four_ranks_on_one_node_are_all_shown_within_the_time",
        ),
        "the-odd-one-is-not-seen",
    ),
)

INVARIANTS = (
    Scenario(
        "I1",
        "at most one training of a run lives",
        (
            LIVES + "lives_of_known_seeds_keep_the_laws",
            MODEL + "every_small_world_keeps_the_laws_and_can_end",
            RUNNER_KILLED + "killed_at_random_moments_two_at_a_time",
        ),
        "absent-is-a-new-attempt",
    ),
    Scenario(
        "I2",
        "after a run has ended none of it lives and none can begin",
        (
            MODEL + "every_small_world_keeps_the_laws_and_can_end",
            CORE + "i2_a_run_whose_last_door_is_found_begun_has_not_ended",
        ),
        "ended-with-the-next-door-open",
    ),
    Scenario(
        "I3",
        "in the valid history attempts are chosen 1, 2, 3, ... and each that began is ended once",
        (
            LIVES + "lives_of_known_seeds_keep_the_laws",
            JOURNAL_LIVES + "a_reader_believes_exactly_what_was_said_and_not_voided",
        ),
        "records-after-a-takeover-count",
    ),
    Scenario(
        "I4",
        "no attempt begins that no journal chose",
        (
            TURN + "an_attempt_is_journaled_before_it_is_launched",
            CORE + "nothing_begins_that_is_not_journaled_in_the_same_turn_or_before",
        ),
        "act-before-write",
    ),
    Scenario(
        "I5",
        "a request is never lost once its poster may forget it",
        (
            TURN + "a_request_stands_until_its_record_is_sealed",
            HARD + "i5_a_request_posted_while_nobody_lives_is_answered_by_the_next_supervisor",
        ),
        "a-request-is-removed-too-early",
    ),
    Scenario(
        "I6",
        "success only from an end that says so: no outcome is invented",
        (
            ENDINGS + "i6_only_an_exit_of_zero_or_its_own_record_of_the_last_step_is_success",
            TAKEOVER + "who_began_and_is_gone_without_a_trace_is_lost",
        ),
        "lost-is-success",
    ),
    Scenario(
        "I7",
        "what a supervisor remembers is what the next one reads",
        (
            TURN + "i7_what_a_term_remembers_is_what_the_next_one_reads",
            LIVES + "lives_of_known_seeds_keep_the_laws",
        ),
        "remembered-and-not-written",
    ),
    Scenario(
        "I8",
        "from every state an end can be reached",
        (
            LIVES + "lives_of_known_seeds_keep_the_laws",
            MODEL + "every_small_world_keeps_the_laws_and_can_end",
            POLICY + "i8_without_progress_every_run_ends",
        ),
        "a-chosen-attempt-is-launched-once",
    ),
)

BUGS = (
    Scenario(
        "bug: unseen is lost",
        "what could not be seen is taken for lost",
        (CORE + "what_could_not_be_seen_leads_to_nothing_whatever_is_wanted",),
        "unseen-is-lost",
    ),
    Scenario(
        "bug: absent is new",
        "an attempt that nothing was seen of is given up for one with a new number",
        (CORE + "an_absent_attempt_is_launched_again_ever_more_slowly_and_never_gets_a_new_number",),
        "absent-is-a-new-attempt",
    ),
    Scenario(
        "bug: act before write",
        "what was decided is done before it is journaled",
        (TURN + "an_attempt_is_journaled_before_it_is_launched",),
        "act-before-write",
    ),
    Scenario(
        "bug: lost is success",
        "an end that nobody saw counts as success",
        (ENDINGS + "i6_only_an_exit_of_zero_or_its_own_record_of_the_last_step_is_success",),
        "lost-is-success",
    ),
    Scenario(
        "bug: stop without the claim",
        "a stop is journaled without shutting the door of the attempt",
        (CORE + "an_attempt_that_is_not_to_begin_has_its_door_shut_before_anything_is_said",),
        "stop-without-the-claim",
    ),
    Scenario(
        "bug: claim twice",
        "a door that stands is made anew",
        (FILES + "a_door_that_stands_is_never_written_again",),
        "the-claim-is-taken-twice",
    ),
    Scenario(
        "bug: torn is empty",
        "a torn journal line is taken for an empty journal",
        (JOURNAL_LIVES + "l22_whole_lines_before_a_tear_stay_and_the_tear_is_kept_as_evidence",),
        "a-torn-line-is-taken-for-empty",
    ),
    Scenario(
        "bug: bare pid",
        "a process is known by its pid without its start time",
        (IDENTITY + "a_pid_that_the_kernel_gave_to_another_is_neither_alive_nor_signalled",),
        "pid-without-start-time",
    ),
    Scenario(
        "bug: inherited lock",
        "a child keeps its dead supervisor's place locked",
        (FILES + "no_lock_of_ours_is_inherited_by_a_program_that_we_start",),
        "the-supervisors-lock-is-inherited",
    ),
    Scenario(
        "bug: zombie's records",
        "what a supervisor writes after a takeover counts",
        (JOURNAL_LIVES + "a_reader_believes_exactly_what_was_said_and_not_voided",),
        "records-after-a-takeover-count",
    ),
    Scenario(
        "bug: open door",
        "a run is ended while the door of its next attempt is open",
        (CORE + "a_run_ends_only_by_shutting_its_next_door_for_good",),
        "ended-with-the-next-door-open",
    ),
    Scenario(
        "bug: exit overwritten",
        "the record of an end is replaced by a later one",
        (FILES + "of_two_last_words_the_first_stands_and_the_second_stays_beside_it",),
        "exit-json-is-overwritten",
    ),
    Scenario(
        "bug: backend first",
        "the backend is asked before the doors are read",
        (TURN + "doors_are_read_before_the_backend_is_asked",),
        "backend-asked-before-doors",
    ),
    Scenario(
        "bug: request removed early",
        "a request is removed before its record is sealed",
        (TURN + "a_request_stands_until_its_record_is_sealed",),
        "a-request-is-removed-too-early",
    ),
    Scenario(
        "bug: exec before started",
        "the training runs before started.json is durable",
        (
            LIFE + "a_stop_before_the_start_lets_nothing_begin",
            LIFE + "started_stands_before_the_first_instruction",
            RUNNER_KILLED + "killed_at_any_call_of_a_kind_the_end_is_the_same",
        ),
        "exec-before-started",
    ),
    Scenario(
        "bug: high lease only",
        "the lease is inherited above descriptor 2 only, where Python's subprocess closes it",
        (LIFE + "it_inherits_the_lease_twice_the_log_and_nothing_else",),
        "standard-input-is-no-lease",
    ),
    Scenario(
        "bug: begun door ignored",
        "closing a run ignores that its last door turns out begun",
        (CORE + "i2_a_run_whose_last_door_is_found_begun_has_not_ended",),
        "closing-ignores-a-begun-door",
    ),
)

SAVED = "tests/live/test_saved.py::test_"
FULL_DISK = "tests/live/test_full_disk.py::test_"
MANIFEST = "tests/unit/checkpoints/test_manifest.py::test_"
PINS = "tests/unit/checkpoints/test_pins.py::test_"
RETENTION = "tests/unit/decide/test_retention.py::test_"
OBEDIENCE = "tests/unit/runner/test_obedience.py::test_"

KEPT = (
    Scenario(
        "R3",
        "one bit of a safetensors file flips after it was verified -> torn, moved away, the one before is used",
        (
            SAVED
            + "r3_a_flipped_bit_in_safetensors_is_found_by_the_manifest_and_the_one_before_is_resumed_from",
            MANIFEST + "r3_one_bit_in_one_of_its_files_is_torn",
        ),
        "manifests-are-not-compared",
    ),
    Scenario(
        "R8",
        "a rotation deletes the last good checkpoint, the new one is half written -> our copy is put back",
        (
            SAVED + "r8_a_rotation_that_leaves_only_a_half_written_one_does_not_take_the_last_good_one",
            PINS + "r8_a_pin_outlives_the_checkpoint_and_can_be_put_back",
        ),
        "nothing-is-pinned",
    ),
    Scenario(
        "P6",
        "a second save to the same file is cut off -> the first is resumed from",
        (
            SAVED + "p6_a_second_save_to_the_same_file_that_is_cut_off_leaves_the_first",
            PINS + "a_single_file_is_never_linked",
        ),
        "a-single-file-is-linked",
    ),
    Scenario(
        "P8",
        "a script ignores the checkpoint it was given -> ended before it gets far, and the run stops with the reason",
        (
            SAVED + "p8_a_training_that_begins_anew_is_ended_and_the_run_stops_with_the_reason",
            OBEDIENCE + "p8_who_begins_at_the_beginning_has_not_obeyed",
        ),
        "who-began-anew-goes-on",
    ),
    Scenario(
        "L46",
        "retention is told to keep none of them -> the last verified ones stay",
        (RETENTION + "l46_the_last_verified_ones_stay_whatever_the_rules_say",),
        "the-last-verified-may-go",
    ),
    Scenario(
        "R10, L25",
        "the disk fills up in torch.save, safetensors, DCP and Lightning -> waited for, no attempt is charged, the "
        "checkpoint before is resumed from",
        (FULL_DISK + "r10_a_full_disk_is_waited_for_and_the_checkpoint_before_is_whole",),
        "a-full-disk-is-any-exit",
    ),
)

THE_LOCK = (
    Scenario(
        "R9",
        "another run left its checkpoints in the folder -> nothing begins there unless a person takes them over",
        (
            "tests/live/test_saved.py::test_r9_checkpoints_of_another_run_are_not_mixed_with_ones_own_unless_a_person_says_so",
            RESUME + "r9_beside_the_checkpoints_of_another_run_nothing_begins",
        ),
        "strangers-are-everybodys",
    ),
    Scenario(
        "R16",
        "one weight of the base model is another before an adapter is resumed -> refused, with both fingerprints; a "
        "person may accept it, and that is kept",
        (
            LOCK + "r16_a_base_model_swapped_between_two_attempts_is_refused_with_both_fingerprints",
            LOCK + "r16_a_person_who_knows_better_accepts_the_other_base_model_and_that_is_kept",
            BASE_MODEL + "r16_one_changed_weight_is_another_model_though_the_header_is_the_same",
        ),
        "a-header-is-a-model",
    ),
    Scenario(
        "R17",
        "the configuration or the data is edited between two attempts -> refused or listed, by the class of the key",
        (
            LOCK + "r17_l49_a_configuration_that_was_edited_is_refused_or_listed",
            LOCKED + "r17_changed_data_is_listed",
            RULING + "what_must_match_and_does_not_is_refused_with_both_values_and_the_way_out",
        ),
        "the-lock-is-what-is-there-now",
    ),
    Scenario(
        "L49",
        "outlast.yaml is edited while a run lives -> it keeps the lock that it was accepted with, and that is said",
        (
            RUN_OPTIONS + "l49_a_run_keeps_the_lock_that_was_configured_when_it_was_accepted",
            LOCK_VERB + "l49_the_classes_are_those_of_the_run_and_not_of_the_file_now_and_that_is_said",
            LOCK + "r17_l49_a_configuration_that_was_edited_is_refused_or_listed",
        ),
        "the-lock-follows-the-configuration",
    ),
    Scenario(
        "P9",
        "the code is edited between two attempts -> the restart waits (`code-changed`), a `retry` takes it over",
        (
            LOCK + "p9_code_edited_between_attempts_holds_the_restart_until_a_retry_takes_it_over",
            CODE + "p9_an_edit_of_tracked_code_is_seen_and_named_whether_committed_or_not",
            LOCKED + "p9_a_restart_by_itself_with_changed_code_is_held_and_a_retry_takes_it_over",
        ),
        "changed-code-goes-on-by-itself",
    ),
)

ENDS = (
    Scenario(
        "L37",
        "losses or weights are NaN at the end -> diverged, not completed whatever the exit code; the last finite "
        "one is resumed from",
        (
            COMPLETION + "l37_a_training_that_left_with_0_and_whose_weights_are_no_numbers_is_not_completed",
            DIVERGENCE + "l37_a_loss_that_stays_nan_ends_the_attempt_and_at_last_the_run",
        ),
        "nobody-looks-at-what-was-left",
    ),
    Scenario(
        "L38",
        "it is past its last step already, by its own checkpoint -> no-op, loud, exit 1; never completed",
        (
            ENDINGS + "each_ending_is_read_by_its_row",
            COMPLETION + "l38_a_run_that_is_past_its_last_step_already_does_nothing_and_says_so",
        ),
        "nothing-left-is-complete",
    ),
    Scenario(
        "R12",
        "weights become NaN at step 12, the log says loss 0 -> seen in the second such record, checkpoint 20 is "
        "refused and moved away, the run goes on from 10",
        (
            DIVERGENCE + "r12_weights_that_became_nan_are_noticed_though_the_log_says_loss_0",
            LOSSES + "r12_the_trainers_pair_in_two_records_is_a_loss_that_is_nan",
            FINAL + "r12_weights_that_are_no_numbers_are_no_result",
        ),
        "loss-0-is-a-loss",
    ),
    Scenario(
        "R13",
        "it goes bad again in the same stretch -> the run has failed, with the evidence; it is never rolled back again",
        (
            COMPLETION + "r13_what_is_no_number_again_in_the_same_stretch_ends_the_run_with_its_evidence",
            ROLLBACK + "r13_the_first_is_rolled_back_and_the_second_in_the_same_stretch_ends_the_run",
            DIVERGENCE + "r13_where_it_goes_bad_again_it_is_stopped_with_the_evidence",
        ),
        "rolled-back-for-ever",
    ),
    Scenario(
        "R14",
        "SIGTERM to a Trainer that saves, stops and leaves with 0 -> interrupted, resumed; never completed",
        (
            COMPLETION
            + "r14_a_signal_that_the_trainer_obeys_with_exit_0_is_an_interruption_and_the_run_goes_on",
            FINAL + "r14_one_that_was_stopped_before_its_last_step_says_so_itself",
            HF + "r14_a_training_that_sigterm_ended_early_is_stopped_and_not_done",
        ),
        "a-stop-that-the-trainer-obeyed-is-an-end",
    ),
    Scenario(
        "P7",
        "half precision: gradients are infinite, a loss is NaN now and then, an evaluation is NaN -> nothing happens",
        (
            LOSSES + "p7_gradients_alone_are_never_evidence",
            LOSSES + "of_all_recorded_outputs_only_the_one_that_diverged_is_found",
            DIVERGENCE + "single_losses_that_are_no_numbers_are_nobodys_end",
        ),
        "a-gradient-is-evidence",
    ),
    Scenario(
        "torn final checkpoint",
        "the last checkpoint of a training that left with 0 is torn -> not completed, resumed from the one before",
        (
            COMPLETION + "the_last_checkpoint_is_torn_and_the_run_goes_on_from_the_one_before",
            COMPLETION + "the_last_checkpoint_is_torn_every_time_and_that_has_an_end",
        ),
        "nobody-looks-at-what-was-left",
    ),
)

GROUPS: dict[str, tuple[Scenario, ...]] = {
    "Supervisor, runner, place": LOCAL,
    "Trainings": TRAININGS,
    "Progress and hangs": PROGRESS,
    "What is kept of checkpoints": KEPT,
    "What a run is locked to": THE_LOCK,
    "Completion and losses": ENDS,
    "Found in practice": PRACTICE,
    "Limits and bad input": OF_THE_RING,
    "Invariants": INVARIANTS,
    "Bugs that must never pass": BUGS,
}
SCENARIOS: tuple[Scenario, ...] = tuple(row for rows in GROUPS.values() for row in rows)

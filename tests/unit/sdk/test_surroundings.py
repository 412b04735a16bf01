"""Every launcher's way of saying which rank this is."""

import pytest

from outlast.sdk.surroundings import rank_and_world, whole


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, (0, 1)),
        ({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}, (5, 8)),
        ({"SLURM_PROCID": "2", "SLURM_NTASKS": "4"}, (2, 4)),
        ({"RANK": "1", "WORLD_SIZE": "2", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, (1, 2)),
        ({"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "4"}, (3, 4)),
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, (1, 2)),
        ({"LOCAL_RANK": "1"}, (1, 2)),
        ({"RANK": "", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}, (1, 2)),
        ({"RANK": "../../etc", "WORLD_SIZE": "2"}, (0, 1)),
    ],
)
def test_the_rank_is_the_one_that_the_first_launcher_says(
    environ: dict[str, str], expected: tuple[int, int]
) -> None:
    assert rank_and_world(environ) == expected


@pytest.mark.parametrize("word", [None, "", "-1", "1.5", "\u0665", "99999999999999999999", "x"])
def test_what_is_no_whole_number_is_none(word: str | None) -> None:
    assert whole(word) is None

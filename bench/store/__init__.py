"""Results on disk: one JSONL file per run, one durable line per case, and files with facts of a device.

A torn last line (power cut, full disk) never hides the good ones.
"""

from bench.store.choice import is_finished, latest, latest_run, read_all, read_latest, unfinished_sweep
from bench.store.device_file import (
    WORKSPACES,
    facts_of,
    read_ceilings,
    read_pictures,
    read_workspaces,
    write_ceilings,
    write_pictures,
    write_workspaces,
)
from bench.store.disk import (
    RESULTS,
    claimed,
    device_folder,
    device_lock,
    is_named_pipe,
    pipeline_memory,
    prepare_folder,
    published,
    sweep_lock,
    usual_folders,
    verdicts,
    write_whole,
)
from bench.store.migrations import MIGRATIONS
from bench.store.reading import ResultsFile, each_file, read, read_file, results_files
from bench.store.stand_in import refuse_stand_in, stand_in_of
from bench.store.writing import RunFile, replace

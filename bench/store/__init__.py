"""Results on disk: one JSONL file a run, one durable line a case. Read, append, choose what to go on with.

Imports `errors` and `record`; never torch. A torn last line (power cut, full disk) never hides the good ones.
"""

from bench.store.ceiling_files import CEILINGS, read_ceilings, write_ceilings
from bench.store.choice import latest, unfinished
from bench.store.disk import claimed, device_folder, exclusive, is_named_pipe, prepare_folder, write_whole
from bench.store.migrations import MIGRATIONS
from bench.store.reading import ResultsFile, read, read_file
from bench.store.shipped import published
from bench.store.stand_in import refuse_stand_in, stand_in_of
from bench.store.workspace_files import WORKSPACES, read_workspaces, write_workspaces
from bench.store.writing import RunFile, replace

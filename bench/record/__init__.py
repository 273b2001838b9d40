"""The models that are written to disk: Case, Outcome, Record and their parts, frozen and with a JSON form.

Quantities are in seconds and bytes. A missing value is None, with the reason in a field beside it if it is known.
"""

from bench.record.axes import Axes
from bench.record.case import (
    EXECUTION,
    FILE_TRANSPORTS,
    Case,
    MeasureSettings,
    Tile,
    Transport,
    alike_but_for,
    fits_in_one_request,
    grouped,
)
from bench.record.ceilings import CEILINGS_VERSION, Ceiling, Ceilings
from bench.record.contradictions import contradictions
from bench.record.environment import (
    Device,
    Environment,
    GpuSettings,
    Neighbours,
    Package,
    SmClockSource,
    TorchSettings,
    Variables,
)
from bench.record.measurements import ContextFoundBy, EnergySource, Memory, Spread, StoppedBy, Telemetry, Timing
from bench.record.outcome import Crashed, Failed, Measured, Outcome, OutOfMemory, Phase, Skipped, TimedOut, describe
from bench.record.picture_comparison import (
    PICTURES_VERSION,
    PictureComparison,
    PictureComparisons,
    PictureFigures,
    SeamFigures,
)
from bench.record.prediction import AllocatorKind, Confidence, KernelChoice, Prediction, Verdict, WorkspaceSource
from bench.record.record import Kind, Record, Run, Stage, SweepOnCards, json_schema
from bench.record.requests import EndpointFacts, Exchange, Load, Overlap, Percentile, Remote, ServerTimes, Split, Start
from bench.record.stored import SCHEMA_VERSION, Frozen, digest, timestamp
from bench.record.urls import without_secrets, without_url_secrets
from bench.record.workspaces import WORKSPACES_VERSION, ConvolutionWorkspace, Workspaces

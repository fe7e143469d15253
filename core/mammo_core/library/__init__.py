"""The library of exams, AI results and reads on this machine."""

from mammo_core.library.export import reads_csv
from mammo_core.library.library import Library, as_study, default_folder
from mammo_core.library.values import (
    SUSPICION,
    Agreement,
    AiRecord,
    AiResult,
    BreastCall,
    BreastResult,
    Call,
    EventRecord,
    HeatRecord,
    ImageRecord,
    ModelRecord,
    ReadRecord,
    Status,
    StudyRecord,
    ViewResult,
    WorklistLine,
)

__all__ = [
    "SUSPICION",
    "Agreement",
    "AiRecord",
    "AiResult",
    "BreastCall",
    "BreastResult",
    "Call",
    "EventRecord",
    "HeatRecord",
    "ImageRecord",
    "Library",
    "ModelRecord",
    "ReadRecord",
    "Status",
    "StudyRecord",
    "ViewResult",
    "WorklistLine",
    "as_study",
    "default_folder",
    "reads_csv",
]

"""Synthetic mammograms with known truth.

    exam = make_exam(PhantomSettings(height=1024), seed=7, index=0)
    mammogram = to_mammogram(exam, exam.views[0])

Knows nothing of models or of reading: what it writes is read like any other file.
"""

from mammo_core.phantom.demo import demo_library
from mammo_core.phantom.exam import LesionInView, PhantomExam, PhantomView, make_exam
from mammo_core.phantom.settings import PhantomSettings
from mammo_core.phantom.value import to_mammogram
from mammo_core.phantom.vendors import VENDORS, Vendor
from mammo_core.phantom.write import write_exam

__all__ = [
    "VENDORS",
    "LesionInView",
    "PhantomExam",
    "PhantomSettings",
    "PhantomView",
    "Vendor",
    "demo_library",
    "make_exam",
    "to_mammogram",
    "write_exam",
]

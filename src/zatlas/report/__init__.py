"""A run as one self-contained HTML page: plain content in, a string out."""

from zatlas.report.build import write_report
from zatlas.report.page import File, Headline, Picture, Report, Section, Table, render

__all__ = ["File", "Headline", "Picture", "Report", "Section", "Table", "render", "write_report"]

"""Reports: figures, the self-contained HTML page, the run folder."""

from pnc.report.dynamics import dynamics_animation, dynamics_figure, shown_times
from pnc.report.figures import comparison_figure
from pnc.report.page import report_page
from pnc.report.run_folder import check_folder, new_folder, software_versions, write_run

__all__ = [
    "check_folder",
    "comparison_figure",
    "dynamics_animation",
    "dynamics_figure",
    "new_folder",
    "report_page",
    "shown_times",
    "software_versions",
    "write_run",
]

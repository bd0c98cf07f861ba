"""What the page of each command says: a verdict in words and sections, as a typed model; `pnc.report.html` renders it."""

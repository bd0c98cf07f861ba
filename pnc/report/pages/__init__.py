"""What the page of each command says, as a typed model: a verdict in words, and sections; see `pnc.report.html`."""

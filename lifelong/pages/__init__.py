"""Pages that a person can show: self-contained HTML, a pure function of results, drawn by plotly in the browser.

Figures are plain dictionaries as plotly.js takes them. (plotly's own classes check them, in the tests: making figures
of these classes would take longer than the whole rest of a page.)
"""

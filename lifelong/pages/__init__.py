"""Self-contained HTML pages of results, with figures that plotly draws in the browser.

Figures are plain dictionaries in the format of plotly.js. (Tests check them with plotly's Python classes, which
would be slower than everything else on a page.)
"""

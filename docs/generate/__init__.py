"""The generated part of the site: pages of methods, API reference, pages of repository files, llms.txt."""

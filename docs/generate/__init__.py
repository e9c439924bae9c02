"""What of the site is not written by hand: pages of methods, the reference, pages of repository files, llms.txt."""

"""What the command line promises: answers, files, exit codes, one-line errors."""

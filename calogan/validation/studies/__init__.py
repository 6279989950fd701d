"""What is measured: a module a study, from two samples to numbers; nothing is drawn or written."""

"""Studies: many models of one data set from one plan, trained, measured, and set beside one another."""

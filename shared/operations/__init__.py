"""The questions that people ask and the acts that they take, the same for the command line and for pages."""

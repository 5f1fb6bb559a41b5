"""Pages for the people who decide. Each page asks one question of `shared.operations` or of a flow's desk, and each form is one
act of theirs: no second truth stands here."""

"""`payin`: what people on call ask and do, from a shell. Every command is one question or one act of `shared.operations`."""

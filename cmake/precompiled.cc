// Nothing: the target of the precompiled headers needs one source.

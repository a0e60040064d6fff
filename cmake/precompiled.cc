// Nothing: a target of precompiled headers needs one source. It is a program's where the target is one.
int main() {}

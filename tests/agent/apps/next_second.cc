extern "C" int Answer() { return 2; }

#!/bin/sh
# Checks that a static library is pure: nothing in it reaches for a clock, a
# thread, the environment, randomness or I/O, nor for another room's code, which
# might; CHECK() alone may end the program. Code of rooms named after it, which are pure themselves,
# may be called.   check_purity.sh LIBRARY.a [PURE_LIBRARY.a ...]
set -eu
library=${1:-}
[ -f "$library" ] || { echo "check_purity: no such library: '$library'"; exit 1; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Whole symbol names, as extended regular expressions, one a line.
cat >"$tmp/forbidden" <<'PATTERNS'
clock(_gettime|_getres|_nanosleep)?|time|times|gettimeofday|timespec_get|ftime|mktime
(local|gm)time(_r)?|nanosleep|u?sleep|sched_yield|_ZNSt6chrono3_V2.*
pthread_.*|sem_.*|thrd_.*|mtx_.*|cnd_.*|syscall|_ZNK?St6thread.*|_ZNSt11this_thread.*
_ZNSt18condition_variable.*|_ZNSt3_V222condition_variable_any.*|_ZNSt13__future_base.*|_ZSt15get_once_.*
(secure_)?getenv|setenv|putenv|unsetenv|environ|getp?pid|getuid|gethostname|uname|sysconf|dl(open|sym)
v?fork|exec[lv]p?e?|posix_spawnp?|system|kill|raise|signal|sigaction|_?exit|_Exit|quick_exit|atexit
open(at)?(64)?|creat(64)?|close|p?(read|write)v?(64)?|[lf]?stat(at)?(64)?|ioctl|fcntl(64)?|mmap(64)?
unlink|rename|mkdir|opendir|fopen(64)?|fdopen|popen|freopen(64)?|f(close|read|write|puts|getc|gets|putc|flush|seek|tell)
puts|putchar|getchar|getline|perror|std(in|out|err)|v?[fd]?printf|__v?[fd]?printf_chk|v?f?scanf|__isoc.._v?f?scanf
socket(pair)?|connect|bind|listen|accept4?|send(to|msg)?|recv(from|msg)?|poll|ppoll|p?select
epoll_.*|eventfd|timerfd_.*|signalfd|pipe2?|getaddrinfo|syslog|openlog
_ZSt[34]w?(cout|cerr|clog|cin)|_ZSt[45]w(cout|cerr|clog|cin)|_ZNSt8ios_base4Init.*
_ZNK?St1[34]basic_([io]?fstream|filebuf).*|_ZNK?St10filesystem.*|_ZNK?6spdlog.*
s?rand(_r)?|s?random(_r)?|[delmnj]rand48(_r)?|s(eed|rand)48(_r)?|getrandom|getentropy|arc4random.*|_ZNSt13random_device.*
PATTERNS

nm -A --undefined-only "$library" | sed -E 's/^.*:([^:]+\.o): +[a-zA-Z] ([^@]*).*/\2 \1/' | sort -u >"$tmp/undefined"
nm --defined-only "$@" 2>/dev/null | awk 'NF == 3 {print $3}' | sort -u >"$tmp/defined"
{
  sed -E 's/^/^(/; s/$/) /' "$tmp/forbidden" | grep -E -f - "$tmp/undefined" || true
  grep -E '^_Z[A-Z]*7stagger' "$tmp/undefined" | grep -v '^_ZN7stagger11CheckFailed' | sort | join -v 1 - "$tmp/defined" || true
} | sort -u >"$tmp/found"

if [ -s "$tmp/found" ]; then
  echo "$(basename "$library") is not pure: time, threads, environment, randomness and I/O must come in from outside"
  awk '{print "  " $2 ": " $1}' "$tmp/found" | c++filt
  exit 1
fi
echo "purity: $(basename "$library") reaches for nothing outside itself ($(ar t "$library" | wc -l) objects)"

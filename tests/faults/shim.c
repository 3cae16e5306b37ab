/* Preloaded, lets the n-th call of one kind fail for files below a folder: SQLite's calls and Python's alike. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { NONE, READ, WRITE, SYNC, RENAME, OPEN };

static char below[4096];
static int armed, lasting;
static long nth, calls;

void fault_arm(const char *folder, int kind, long n, int stays) {
    snprintf(below, sizeof below, "%s", folder);
    nth = n, calls = 0, lasting = stays;
    __sync_synchronize();
    armed = kind;
}

/* Returns how many calls of the kind there were. */
long fault_disarm(void) {
    armed = NONE;
    return calls;
}

static int due(int kind, const char *path) {
    if (armed != kind || strncmp(path, below, strlen(below))) return 0;
    long call = __sync_add_and_fetch(&calls, 1);
    return lasting ? call >= nth : call == nth;
}

static int due_at(int kind, int file) {
    char link[64], path[4096];
    if (armed != kind) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return due(kind, path);
}

#define FAIL(code) do { errno = code; return -1; } while (0)
#define REAL(type, name) ((type)dlsym(RTLD_NEXT, name))

#define READS(name, offset) \
    ssize_t name(int file, void *data, size_t size, offset at) { \
        if (due_at(READ, file)) FAIL(EIO); \
        return REAL(ssize_t (*)(int, void *, size_t, offset), #name)(file, data, size, at); \
    }
READS(pread, off_t)
READS(pread64, off64_t)

ssize_t read(int file, void *data, size_t size) {
    if (due_at(READ, file)) FAIL(EIO);
    return REAL(ssize_t (*)(int, void *, size_t), "read")(file, data, size);
}

/* A write that fails has written half, as on a disk that is full. */
#define WRITES(name, offset) \
    ssize_t name(int file, const void *data, size_t size, offset at) { \
        ssize_t (*real)(int, const void *, size_t, offset) = REAL(ssize_t (*)(int, const void *, size_t, offset), #name); \
        if (due_at(WRITE, file)) { real(file, data, size / 2, at); FAIL(ENOSPC); } \
        return real(file, data, size, at); \
    }
WRITES(pwrite, off_t)
WRITES(pwrite64, off64_t)

ssize_t write(int file, const void *data, size_t size) {
    ssize_t (*real)(int, const void *, size_t) = REAL(ssize_t (*)(int, const void *, size_t), "write");
    if (due_at(WRITE, file)) {
        if (real(file, data, size / 2) < 0) return -1;
        FAIL(ENOSPC);
    }
    return real(file, data, size);
}

#define ON_FILE(name, kind) \
    int name(int file) { \
        if (due_at(kind, file)) FAIL(EIO); \
        return REAL(int (*)(int), #name)(file); \
    }
ON_FILE(fsync, SYNC)
ON_FILE(fdatasync, SYNC)

int rename(const char *from, const char *to) {
    if (due(RENAME, to)) FAIL(EIO);
    return REAL(int (*)(const char *, const char *), "rename")(from, to);
}

#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if (due(OPEN, path)) FAIL(EIO); \
        return REAL(int (*)(const char *, int, ...), #name)(path, flags, mode); \
    }
OPENS(open)
OPENS(open64)

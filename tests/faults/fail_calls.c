/* Makes calls of a program fail. It is preloaded (LD_PRELOAD) by the drivers beside it, which set
 *
 *     FAIL_CALL   which calls: a name from `kinds` below
 *     FAIL_AT     the number of the one that fails, from 1; 0 where all are to be counted only
 *     FAIL_ERRNO  what it fails with
 *     FAIL_ON     where it is set, every later one fails too
 *     FAIL_COUNT  the file that gets the number of calls when the program ends
 *
 * The C library's calls of itself (printf's write, a large malloc's mmap) do not come by here. Programs that this one starts do not get the
 * library. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
    kind_malloc,
    kind_mkdir,
    kind_mmap,
    kind_open,
    kind_read,
    kind_rename,
    kind_sync,
    kind_thread,
    kind_write,
    kind_none,
    kind_uncounted
};

static const char *const kinds[] = {"malloc", "mkdir", "mmap", "open", "read", "rename", "sync", "thread", "write"};

static enum kind failing = kind_none;
static long fail_at;
static int fail_errno, fail_on;
static const char *count_file;
static atomic_long calls;
static pthread_once_t read_once = PTHREAD_ONCE_INIT;

static long number_in(const char *variable) {
    const char *text = getenv(variable);
    return text ? atol(text) : 0;
}

static void read_settings(void) {
    const char *name = getenv("FAIL_CALL");
    fail_at = number_in("FAIL_AT");
    fail_errno = (int)number_in("FAIL_ERRNO");
    fail_on = getenv("FAIL_ON") != NULL;
    count_file = getenv("FAIL_COUNT");
    for (int kind = 0; name && kind < kind_none; ++kind)
        if (strcmp(name, kinds[kind]) == 0) failing = (enum kind)kind;
}

/* Whether this call is to fail; errno is then set. */
static int fails(enum kind kind) {
    pthread_once(&read_once, read_settings);
    if (kind != failing) return 0;
    const long number = atomic_fetch_add(&calls, 1) + 1;
    if (fail_at == 0 || number < fail_at || (number > fail_at && !fail_on)) return 0;
    errno = fail_errno;
    return 1;
}

__attribute__((constructor)) static void keep_to_this_program(void) { unsetenv("LD_PRELOAD"); }

__attribute__((destructor)) static void write_count(void) {
    const enum kind counted = failing;
    failing = kind_none;
    FILE *file = counted != kind_none && count_file ? fopen(count_file, "w") : NULL;
    if (!file) return;
    fprintf(file, "%ld\n", (long)calls);
    fclose(file);
}

/* dlsym() itself allocates, so that memory comes from the C library by its other names. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size) { return fails(kind_malloc) ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return fails(kind_malloc) ? NULL : __libc_calloc(count, size); }
void *realloc(void *memory, size_t size) { return fails(kind_malloc) ? NULL : __libc_realloc(memory, size); }
void *aligned_alloc(size_t alignment, size_t size) { return fails(kind_malloc) ? NULL : __libc_memalign(alignment, size); }

int posix_memalign(void **memory, size_t alignment, size_t size) {
    if (fails(kind_malloc)) return fail_errno;
    *memory = __libc_memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}

/* Defines a function that fails with `failure`, or hands its arguments on to the next library's. */
#define PASS_ON(kind, type, failure, name, parameters, arguments)                                                                          \
    type name parameters {                                                                                                                 \
        static type(*next) parameters;                                                                                                     \
        if (fails(kind)) return failure;                                                                                                   \
        if (!next) *(void **)&next = dlsym(RTLD_NEXT, #name);                                                                              \
        return next arguments;                                                                                                             \
    }

/* The same where a mode follows the arguments, which is read whether it was given or not. */
#define PASS_ON_WITH_MODE(name, parameters, last, ...)                                                                                     \
    int name parameters {                                                                                                                  \
        static int(*next) parameters;                                                                                                      \
        va_list rest;                                                                                                                      \
        va_start(rest, last);                                                                                                              \
        const mode_t mode = va_arg(rest, mode_t);                                                                                          \
        va_end(rest);                                                                                                                      \
        if (fails(kind_open)) return -1;                                                                                                   \
        if (!next) *(void **)&next = dlsym(RTLD_NEXT, #name);                                                                              \
        return next(__VA_ARGS__, mode);                                                                                                    \
    }

PASS_ON(kind_mkdir, int, -1, mkdir, (const char *path, mode_t mode), (path, mode))
PASS_ON(kind_mmap, void *, MAP_FAILED, mmap, (void *at, size_t n, int protection, int flags, int file, off_t offset),
        (at, n, protection, flags, file, offset))
PASS_ON(kind_mmap, void *, MAP_FAILED, mmap64, (void *at, size_t n, int protection, int flags, int file, off64_t offset),
        (at, n, protection, flags, file, offset))
PASS_ON_WITH_MODE(open, (const char *path, int flags, ...), flags, path, flags)
PASS_ON_WITH_MODE(open64, (const char *path, int flags, ...), flags, path, flags)
PASS_ON_WITH_MODE(openat, (int folder, const char *path, int flags, ...), flags, folder, path, flags)
PASS_ON_WITH_MODE(openat64, (int folder, const char *path, int flags, ...), flags, folder, path, flags)
PASS_ON(kind_open, FILE *, NULL, fopen, (const char *path, const char *mode), (path, mode))
PASS_ON(kind_open, FILE *, NULL, fopen64, (const char *path, const char *mode), (path, mode))
PASS_ON(kind_open, DIR *, NULL, opendir, (const char *path), (path))
PASS_ON(kind_read, ssize_t, -1, read, (int file, void *data, size_t n), (file, data, n))
PASS_ON(kind_rename, int, -1, rename, (const char *from, const char *to), (from, to))
PASS_ON(kind_sync, int, -1, fsync, (int file), (file))
PASS_ON(kind_sync, int, -1, fdatasync, (int file), (file))
PASS_ON(kind_thread, int, fail_errno, pthread_create,
        (pthread_t * thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument),
        (thread, attributes, start, argument))
/* Standard error goes on taking the line that says what failed. */
PASS_ON(file == STDERR_FILENO ? kind_uncounted : kind_write, ssize_t, -1, write, (int file, const void *data, size_t n), (file, data, n))
PASS_ON(file == STDERR_FILENO ? kind_uncounted : kind_write, ssize_t, -1, writev, (int file, const struct iovec *parts, int n),
        (file, parts, n))

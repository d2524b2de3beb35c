/* Makes the n-th system call of one kind fail in one process, or kills it there, and writes down every call it counts.
 *
 * Loaded with LD_PRELOAD. Armed by fail_calls("KIND N ERRNO UNDER LOG"), or by that text in FAIL_CALLS at the start.
 * KIND is open, write, fsync, rename, name (mkdir, rmdir, link, unlink), fork, wait or any; N counts from 1; ERRNO 0 is
 * SIGKILL in place of the call. Calls that name or hold a file count if it stands below the folder UNDER; writing counts
 * for standard output too, unless it writes nothing. Children are left alone. LOG gets the name of each counted function, and "failed" behind the
 * one that was made to fail.
 * Where NO_EXCHANGE is in the environment at the start, the kernel offers no exchange of two names; where FOLLOW is, it
 * is the calls of the first child that count.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <dirent.h>
#include <unistd.h>

static pid_t owner;
static int wanted, number, counted, journal = -1, no_exchange, follow;
static char kind[16], under[PATH_MAX], journal_path[PATH_MAX];

int fail_calls(const char *what) {
    if (sscanf(what, "%15s %d %d %4095s %4095s", kind, &wanted, &number, under, journal_path) != 5) return -1;
    journal = syscall(SYS_openat, AT_FDCWD, journal_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    counted = 0;
    owner = getpid();
    return journal;
}

__attribute__((constructor)) static void start(void) {
    const char *what = getenv("FAIL_CALLS");
    unsetenv("LD_PRELOAD");
    no_exchange = getenv("NO_EXCHANGE") != NULL;
    follow = getenv("FOLLOW") != NULL;
    if (what && fail_calls(what) < 0) _exit(99);
}

static int fails(const char *its_kind, const char *name) {
    if (owner == 0 || getpid() != owner || (strcmp(kind, its_kind) != 0 && strcmp(kind, "any") != 0)) return 0;
    int now = ++counted == wanted;
    char line[64];
    int length = snprintf(line, sizeof line, "%s%s\n", name, now ? " failed" : "");
    if (syscall(SYS_write, journal, line, length) != length) _exit(98);
    if (now && number == 0) kill(owner, SIGKILL);
    if (now) errno = number;
    return now;
}

static int is_under(const char *path) {
    size_t length = strlen(under);
    return strncmp(path, under, length) == 0 && (path[length] == 0 || path[length] == '/');
}

static int held(int descriptor, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, size - 1);
    path[length < 0 ? 0 : length] = 0;
    return length >= 0;
}

static int named(int folder, const char *path) {
    char whole[2 * PATH_MAX];
    if (owner == 0 || path == NULL) return 0;
    if (path[0] == '/') return is_under(path);
    if (folder == AT_FDCWD ? getcwd(whole, PATH_MAX) == NULL : !held(folder, whole, PATH_MAX)) return 0;
    strcat(strcat(whole, "/"), path);
    return is_under(whole);
}

static int open_below(int descriptor) {
    char path[PATH_MAX];
    return owner != 0 && held(descriptor, path, sizeof path) && is_under(path);
}

#define REAL(result, name, ...) ((result (*)(__VA_ARGS__)) dlsym(RTLD_NEXT, #name))
#define MODE(flags, mode) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        MODE(flags, mode) \
        if (named(AT_FDCWD, path) && fails("open", #name)) return -1; \
        return REAL(int, name, const char *, int, ...)(path, flags, mode); \
    }
#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        MODE(flags, mode) \
        if (named(folder, path) && fails("open", #name)) return -1; \
        return REAL(int, name, int, const char *, int, ...)(folder, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

DIR *opendir(const char *path) {
    if (named(AT_FDCWD, path) && fails("open", "opendir")) return NULL;
    return REAL(DIR *, opendir, const char *)(path);
}

ssize_t write(int descriptor, const void *data, size_t size) {
    if (size > 0 && (descriptor == 1 || open_below(descriptor)) && fails("write", "write")) return -1;
    return REAL(ssize_t, write, int, const void *, size_t)(descriptor, data, size);
}

ssize_t writev(int descriptor, const struct iovec *data, int count) {
    if ((descriptor == 1 || open_below(descriptor)) && fails("write", "writev")) return -1;
    return REAL(ssize_t, writev, int, const struct iovec *, int)(descriptor, data, count);
}

int fsync(int descriptor) {
    if (open_below(descriptor) && fails("fsync", "fsync")) return -1;
    return REAL(int, fsync, int)(descriptor);
}

int fdatasync(int descriptor) {
    if (open_below(descriptor) && fails("fsync", "fdatasync")) return -1;
    return REAL(int, fdatasync, int)(descriptor);
}

int rename(const char *from, const char *to) {
    if ((named(AT_FDCWD, from) || named(AT_FDCWD, to)) && fails("rename", "rename")) return -1;
    return REAL(int, rename, const char *, const char *)(from, to);
}

int renameat(int folder, const char *from, int other, const char *to) {
    if ((named(folder, from) || named(other, to)) && fails("rename", "renameat")) return -1;
    return REAL(int, renameat, int, const char *, int, const char *)(folder, from, other, to);
}

int renameat2(int folder, const char *from, int other, const char *to, unsigned int flags) {
    if (no_exchange && flags) return errno = EINVAL, -1;
    if ((named(folder, from) || named(other, to)) && fails("rename", "renameat2")) return -1;
    return syscall(SYS_renameat2, folder, from, other, to, flags);
}

int mkdir(const char *path, mode_t mode) {
    if (named(AT_FDCWD, path) && fails("name", "mkdir")) return -1;
    return REAL(int, mkdir, const char *, mode_t)(path, mode);
}

int rmdir(const char *path) {
    if (named(AT_FDCWD, path) && fails("name", "rmdir")) return -1;
    return REAL(int, rmdir, const char *)(path);
}

int unlink(const char *path) {
    if (named(AT_FDCWD, path) && fails("name", "unlink")) return -1;
    return REAL(int, unlink, const char *)(path);
}

int unlinkat(int folder, const char *path, int flags) {
    if (named(folder, path) && fails("name", "unlinkat")) return -1;
    return REAL(int, unlinkat, int, const char *, int)(folder, path, flags);
}

int linkat(int folder, const char *from, int other, const char *to, int flags) {
    if (named(other, to) && fails("name", "linkat")) return -1;
    return REAL(int, linkat, int, const char *, int, const char *, int)(folder, from, other, to, flags);
}

static int none_left; /* CPython tries fork when vfork has failed, and a system without a process for one has none for it */

pid_t fork(void) {
    if (none_left) {
        none_left = 0;
        return errno = number, -1;
    }
    if (!follow && fails("fork", "fork")) return -1;
    pid_t pid = REAL(pid_t, fork, void)();
    if (pid == 0 && follow) owner = getpid();
    follow = 0;
    return pid;
}

pid_t vfork(void) { /* nothing may return from a function that called the real one; a copy does as well */
    if (fails("fork", "vfork")) return none_left = 1, -1;
    return REAL(pid_t, fork, void)();
}

#define SPAWN(name) \
    int name(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes, \
             char *const *words, char *const *environment) { \
        if (fails("fork", #name)) return number; \
        return REAL(int, name, pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, \
                    char *const *, char *const *)(pid, path, actions, attributes, words, environment); \
    }
SPAWN(posix_spawn)
SPAWN(posix_spawnp)

pid_t waitpid(pid_t pid, int *status, int options) {
    if (fails("wait", "waitpid")) return -1;
    return REAL(pid_t, waitpid, pid_t, int *, int)(pid, status, options);
}

pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage) {
    if (fails("wait", "wait4")) return -1;
    return REAL(pid_t, wait4, pid_t, int *, int, struct rusage *)(pid, status, options, usage);
}

int waitid(idtype_t type, id_t id, siginfo_t *info, int options) {
    if (fails("wait", "waitid")) return -1;
    return REAL(int, waitid, idtype_t, id_t, siginfo_t *, int)(type, id, info, options);
}

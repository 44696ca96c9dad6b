/* Preloaded into every process of a stack: an offset of the wall clock and a delay of each flush
 * to the disk, both in seconds, read anew from the file SHIM_FILE ("<offset> <delay>") at each use.
 * The monotonic clock is left alone, as a changed clock leaves it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static double values[2];

static void load(void) {
    static time_t read_at = -1;
    static int (*now)(clockid_t, struct timespec *);
    struct timespec seen;
    if (!now) now = dlsym(RTLD_NEXT, "clock_gettime");
    now(CLOCK_MONOTONIC, &seen);
    if (seen.tv_sec == read_at) return;
    read_at = seen.tv_sec;
    const char *path = getenv("SHIM_FILE");
    FILE *file = path ? fopen(path, "re") : NULL;
    if (!file) return;
    double offset, delay;
    if (fscanf(file, "%lf %lf", &offset, &delay) == 2) {
        values[0] = offset;
        values[1] = delay;
    }
    fclose(file);
}

int clock_gettime(clockid_t id, struct timespec *seen) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, seen);
    if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        load();
        seen->tv_sec += (time_t)values[0];
    }
    return result;
}

time_t time(time_t *seen) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (seen) *seen = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict seen, void *restrict zone) {
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    seen->tv_sec = now.tv_sec;
    seen->tv_usec = now.tv_nsec / 1000;
    return 0;
}

static void wait_for_disk(void) {
    load();
    if (values[1] <= 0) return;
    struct timespec pause = {(time_t)values[1], (long)((values[1] - (time_t)values[1]) * 1e9)};
    nanosleep(&pause, NULL);
}

int fsync(int fd) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fsync");
    wait_for_disk();
    return real(fd);
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
    wait_for_disk();
    return real(fd);
}

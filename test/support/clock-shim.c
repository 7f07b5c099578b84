// Has a program see a wall clock that a test sets: the real one and a shift, which is in a file of 8 bytes that both
// map into memory. The monotonic clock stays real. Preloaded by clock-server.ts.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile int64_t *shift_us;

__attribute__((constructor)) static void open_shift(void) {
  int file = open(getenv("CLOCK_SHIFT"), O_RDONLY);
  void *mapped = mmap(NULL, sizeof *shift_us, PROT_READ, MAP_SHARED, file, 0);
  if (mapped != MAP_FAILED) shift_us = mapped;
}

static int64_t shift(void) { return shift_us == NULL ? 0 : *shift_us; }

int gettimeofday(struct timeval *now, void *zone) {
  static int (*real)(struct timeval *, void *);
  if (real == NULL) real = dlsym(RTLD_NEXT, "gettimeofday");
  int result = real(now, zone);
  int64_t us = now->tv_sec * INT64_C(1000000) + now->tv_usec + shift();
  now->tv_sec = us / 1000000;
  now->tv_usec = us % 1000000;
  return result;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *);
  if (real == NULL) real = dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(clock, now);
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) return result;
  int64_t us = now->tv_sec * INT64_C(1000000) + now->tv_nsec / 1000 + shift();
  now->tv_nsec = us % 1000000 * 1000 + now->tv_nsec % 1000;
  now->tv_sec = us / 1000000;
  return result;
}

time_t time(time_t *result) {
  struct timeval now;
  gettimeofday(&now, NULL);
  if (result != NULL) *result = now.tv_sec;
  return now.tv_sec;
}

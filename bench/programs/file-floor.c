/*
 * What the file system alone allows for batches of many partitions, made durable before they count: no network, no protocol, no checks.
 *
 *   file-floor FOLDER FILES WARM BATCHES FRAME
 *
 * FRAME batches of 16 KB go into one place of a ring (256 MiB, written before) and are synced; then each goes to the end of its
 * file, the files in turn, neighbours of one file in one write. Behind each 96 MiB the file system is flushed by a second thread; the
 * next such point waits for that to have ended. The first WARM batches are not measured, the BATCHES behind them are. Prints MB/s.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BATCH_BYTES 16452L /* 16 KB of records and what surrounds them */
#define RING_BYTES (256L << 20)
#define FLUSH_BYTES (96L << 20)
#define PATH_BYTES 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int folder, asked, ended;

static void fail(const char *what) {
  fprintf(stderr, "file-floor: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

static void write_all(int fd, const char *bytes, long count, long position) {
  while (count > 0) {
    ssize_t written = pwrite(fd, bytes, count, position);
    if (written <= 0) fail("pwrite");
    bytes += written;
    count -= written;
    position += written;
  }
}

static void *flusher(void *unused) {
  (void)unused;
  for (;;) {
    pthread_mutex_lock(&lock);
    while (asked == ended) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    if (syncfs(folder) < 0) fail("syncfs");
    pthread_mutex_lock(&lock);
    ended++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
  }
  return NULL;
}

/** The flush before this one has ended, and the next is under way. */
static void flush_aside(void) {
  pthread_mutex_lock(&lock);
  while (asked > ended) pthread_cond_wait(&changed, &lock);
  asked++;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

int main(int count, char **words) {
  if (count != 6) {
    fprintf(stderr, "usage: file-floor FOLDER FILES WARM BATCHES FRAME\n");
    return 2;
  }
  long files = atol(words[2]), warm = atol(words[3]), batches = atol(words[4]), frame = atol(words[5]);
  if (files < 1 || frame < 1) {
    fprintf(stderr, "file-floor: FILES and FRAME must be at least 1\n");
    return 2;
  }
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  char path[PATH_BYTES];
  int *fds = malloc(files * sizeof *fds);
  long *ends = calloc(files, sizeof *ends);
  char *bytes = malloc(frame * BATCH_BYTES);
  char *zeros = calloc(1, 1 << 20);
  if (fds == NULL || ends == NULL || bytes == NULL || zeros == NULL) fail("malloc");
  memset(bytes, 'r', frame * BATCH_BYTES);
  if ((folder = open(words[1], O_RDONLY | O_DIRECTORY)) < 0) fail(words[1]);
  for (long i = 0; i < files; i++) {
    snprintf(path, sizeof path, "%s/%ld.log", words[1], i);
    if ((fds[i] = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644)) < 0) fail(path);
  }
  snprintf(path, sizeof path, "%s/journal", words[1]);
  int ring = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
  if (ring < 0) fail(path);
  for (long at = 0; at < RING_BYTES; at += 1 << 20) write_all(ring, zeros, 1 << 20, at);
  if (syncfs(folder) < 0) fail("syncfs");
  pthread_t thread;
  if (pthread_create(&thread, NULL, flusher, NULL) != 0) fail("pthread_create");
  long at = 0, unflushed = 0, next = 0, measured = 0;
  double began = 0;
  for (long done = 0; done < warm || measured < batches; done += frame) {
    if (done >= warm) {
      if (measured == 0) began = seconds();
      measured += frame;
    }
    if (at + frame * BATCH_BYTES > RING_BYTES) at = 0;
    write_all(ring, bytes, frame * BATCH_BYTES, at);
    if (fdatasync(ring) < 0) fail("fdatasync");
    at += frame * BATCH_BYTES;
    /* Each file has its share of the frame in one write. */
    long rounds = frame / files, left = frame % files;
    long touched = rounds > 0 ? files : left;
    for (long i = 0; i < touched; i++, next = (next + 1) % files) {
      long size = (rounds + (i < left ? 1 : 0)) * BATCH_BYTES;
      write_all(fds[next], bytes, size, ends[next]);
      ends[next] += size;
    }
    unflushed += frame * BATCH_BYTES;
    if (unflushed >= FLUSH_BYTES) {
      unflushed = 0;
      flush_aside();
    }
  }
  printf("%.1f\n", measured * BATCH_BYTES / 1e6 / (seconds() - began));
  return 0;
}

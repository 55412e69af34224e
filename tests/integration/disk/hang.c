/* Holds every flush to the disk for as long as the file named by TORNELLO_TEST_STUCK exists. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_while_stuck(void) {
    const char *stuck = getenv("TORNELLO_TEST_STUCK");
    while (stuck && access(stuck, F_OK) == 0) usleep(5000);
}

int fdatasync(int file) {
    wait_while_stuck();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(file);
}

int fsync(int file) {
    wait_while_stuck();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(file);
}

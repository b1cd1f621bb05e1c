#define _GNU_SOURCE
#include "CEpoll.h"
#include <pthread.h>
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

ssize_t cepoll_send_descriptors(int socket, const void *data, size_t length, const int *descriptors, size_t count) {
    char control[CMSG_SPACE(sizeof(int) * 64)];
    if (count > 64) {
        errno = EINVAL;
        return -1;
    }
    memset(control, 0, sizeof(control));
    struct iovec part = {.iov_base = (void *)data, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * count);
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL);
}

ssize_t cepoll_receive_descriptors(int socket, void *data, size_t length, int *descriptors, size_t capacity,
                                   size_t *count) {
    char control[CMSG_SPACE(sizeof(int) * 64)];
    struct iovec part = {.iov_base = data, .iov_len = length};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    *count = 0;
    ssize_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (received < 0) return received;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t held = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t index = 0; index < held && *count < capacity; index++) {
            memcpy(&descriptors[*count], CMSG_DATA(header) + index * sizeof(int), sizeof(int));
            *count += 1;
        }
    }
    return received;
}

int cepoll_pin_current_thread(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    return pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

void cepoll_adopt_niceness(void) {
    errno = 0;
    int niceness = getpriority(PRIO_PROCESS, getpid());
    if (niceness == -1 && errno != 0) return;
    // Without the right to be less nice it stays as it is.
    setpriority(PRIO_PROCESS, gettid(), niceness);
}

void cepoll_be_nicer(int by) {
    errno = 0;
    int niceness = getpriority(PRIO_PROCESS, gettid());
    if (niceness == -1 && errno != 0) return;
    setpriority(PRIO_PROCESS, gettid(), niceness + by);
}

void cepoll_set_timer_slack(unsigned long nanoseconds) {
    prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0);
}

int cepoll_unacknowledged(int socket) {
    int count = 0;
    return ioctl(socket, SIOCOUTQ, &count) == 0 ? count : 0;
}

void cepoll_pause(unsigned int microseconds) {
    struct timespec time = {.tv_nsec = (long)microseconds * 1000};
    nanosleep(&time, NULL);
}

void cepoll_name_current_thread(const char *name) {
    char kept[16];
    strncpy(kept, name, sizeof(kept) - 1);
    kept[sizeof(kept) - 1] = 0;
    pthread_setname_np(pthread_self(), kept);
}

int cepoll_accept(int listener, struct sockaddr_storage *peer) {
    socklen_t length = sizeof(*peer);
    return accept4(listener, (struct sockaddr *)peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static volatile sig_atomic_t signal_descriptor = -1;

static void write_signal(int number) {
    int kept = errno;
    unsigned char byte = (unsigned char)number;
    // A full pipe loses this one; the reader has tens of thousands before it.
    if (write(signal_descriptor, &byte, 1) < 0) {
    }
    errno = kept;
}

static sigset_t signal_set(const int *signals, size_t count) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t index = 0; index < count; index++) sigaddset(&set, signals[index]);
    return set;
}

int cepoll_catch_signals(int descriptor, const int *signals, size_t count) {
    signal_descriptor = descriptor;
    sigset_t set = signal_set(signals, count);
    struct sigaction action = {.sa_handler = write_signal, .sa_flags = SA_RESTART, .sa_mask = set};
    for (size_t index = 0; index < count; index++) {
        if (sigaction(signals[index], &action, NULL) != 0) return -1;
    }
    errno = pthread_sigmask(SIG_BLOCK, &set, NULL);
    return errno == 0 ? 0 : -1;
}

void cepoll_let_signals_in(const int *signals, size_t count) {
    sigset_t set = signal_set(signals, count);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

#ifndef CEPOLL_H
#define CEPOLL_H

// epoll, eventfd and ancillary data are not in Swift's Glibc module map; this shim brings them in. It must not define
// _GNU_SOURCE: types would then differ from those of the Glibc module.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>

/// Sends `data` together with `count` descriptors (SCM_RIGHTS). Returns what sendmsg returns.
ssize_t cepoll_send_descriptors(int socket, const void *data, size_t length, const int *descriptors, size_t count);

/// Receives data and up to `capacity` descriptors (close-on-exec). `*count` is how many arrived. Returns what recvmsg
/// returns.
ssize_t cepoll_receive_descriptors(int socket, void *data, size_t length, int *descriptors, size_t capacity,
                                   size_t *count);

/// pthread affinity of the calling thread to one processor. Returns 0 or an errno value.
int cepoll_pin_current_thread(int processor);

/// Names the calling thread for ps and debuggers; the kernel keeps 15 bytes.
void cepoll_name_current_thread(const char *name);

/// Gives the calling thread the niceness of the process's first thread. A thread started by a pool's thread inherits that
/// thread's, which the pool has set to its liking; whoever renices the process means those who do the work.
void cepoll_adopt_niceness(void);

/// Makes the calling thread nicer by so much than it is.
void cepoll_be_nicer(int by);

/// Nanoseconds by which the kernel may let the calling thread's sleeps last longer (PR_SET_TIMERSLACK).
void cepoll_set_timer_slack(unsigned long nanoseconds);

/// Bytes in the socket's send queue, acknowledged ones not counted (SIOCOUTQ); 0 if that cannot be said.
int cepoll_unacknowledged(int socket);

/// Sleeps for that many microseconds, fewer than a million; a signal may end it early.
void cepoll_pause(unsigned int microseconds);

/// accept4 with SOCK_NONBLOCK and SOCK_CLOEXEC; fills in the peer's address.
int cepoll_accept(int listener, struct sockaddr_storage *peer);

/// Has each of the signals written to `descriptor`, which must not block, as one byte instead of its default action. The
/// signals are blocked for the calling thread, and so for those that it makes; some thread must let them in. Returns 0
/// or -1 with errno.
int cepoll_catch_signals(int descriptor, const int *signals, size_t count);

/// Lets these signals interrupt the calling thread.
void cepoll_let_signals_in(const int *signals, size_t count);

#endif

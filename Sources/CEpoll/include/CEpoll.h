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

/// accept4 with SOCK_NONBLOCK and SOCK_CLOEXEC; fills in the peer's address.
int cepoll_accept(int listener, struct sockaddr_storage *peer);

#endif

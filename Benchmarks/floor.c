/* The floor: forwards bytes between a client connection and an upstream connection of its own, on one epoll loop, and
   knows nothing of HTTP. What a proxy costs beyond this is what its understanding costs.
   usage: floor LISTEN-PORT UPSTREAM-PORT */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[262144];
static int peer[65536];
/* Bytes that a socket would not take yet. */
static struct { char *bytes; size_t count; } held[65536];
static int loop;

static void nodelay(int s) { int one = 1; setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); }

static void add(int s, uint32_t events) {
    struct epoll_event event = { .events = events, .data.fd = s };
    epoll_ctl(loop, EPOLL_CTL_ADD, s, &event);
}

static void drop(int s) {
    int other = peer[s];
    int both[2] = { s, other };
    for (int i = 0; i < 2; i++) {
        free(held[both[i]].bytes);
        held[both[i]].bytes = NULL;
        held[both[i]].count = 0;
        close(both[i]);
    }
}

static int flush(int s) {
    while (held[s].count) {
        ssize_t sent = send(s, held[s].bytes, held[s].count, MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN ? 1 : -1;
        memmove(held[s].bytes, held[s].bytes + sent, held[s].count - sent);
        held[s].count -= sent;
    }
    return 0;
}

/* Moves what `from` has to its peer. */
static void move(int from) {
    int to = peer[from];
    while (!held[to].count) {
        ssize_t got = recv(from, buffer, sizeof buffer, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN)) return drop(from);
        if (got < 0) return;
        ssize_t sent = send(to, buffer, got, MSG_NOSIGNAL);
        if (sent < 0) { if (errno != EAGAIN) return drop(from); sent = 0; }
        if (sent < got) {
            held[to].bytes = realloc(held[to].bytes, got - sent);
            memcpy(held[to].bytes, buffer + sent, got - sent);
            held[to].count = got - sent;
        }
        if (got < (ssize_t)sizeof buffer) return;
    }
}

int main(int argc, char **argv) {
    if (argc < 3) return 64;
    struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_in there = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[2])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&here, sizeof here) || listen(listener, 1024)) { perror("floor"); return 1; }
    loop = epoll_create1(0);
    add(listener, EPOLLIN);
    struct epoll_event events[256];
    for (;;) {
        int count = epoll_wait(loop, events, 256, -1);
        for (int i = 0; i < count; i++) {
            int s = events[i].data.fd;
            if (s == listener) {
                int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (client < 0) continue;
                int upstream = socket(AF_INET, SOCK_STREAM, 0);
                if (connect(upstream, (void *)&there, sizeof there)) { close(client); close(upstream); continue; }
                fcntl(upstream, F_SETFL, O_NONBLOCK);
                nodelay(client);
                nodelay(upstream);
                peer[client] = upstream;
                peer[upstream] = client;
                add(client, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
                add(upstream, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
                continue;
            }
            if (events[i].events & EPOLLOUT && held[s].count) {
                if (flush(s) < 0) { drop(s); continue; }
                if (!held[s].count) move(peer[s]);
            }
            if (events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) move(s);
        }
    }
}

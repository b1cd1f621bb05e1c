/* The floor: answers requests with bytes that lie ready, on one epoll loop, and does nothing else: it knows no HTTP but the
   place of the target. What a server costs beyond this is what its understanding costs; what it costs less, it cannot.
   usage: floor {TARGET FILE}...   A file is a whole response, head and body. Prints its port. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static struct answer { const char *target; size_t length; char *bytes; size_t count; } answers[16];
static int known;
/* What each connection still has to be sent. */
static struct { const char *bytes; size_t count; } left[65536];

static void load(const char *target, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || known == 16) exit(66);
    struct answer *answer = &answers[known++];
    answer->target = target;
    answer->length = strlen(target);
    fseek(file, 0, SEEK_END);
    answer->count = ftell(file);
    rewind(file);
    answer->bytes = malloc(answer->count);
    if (fread(answer->bytes, 1, answer->count, file) != answer->count) exit(66);
    fclose(file);
}

/* Whether the connection is still good. */
static int flush(int s) {
    while (left[s].count) {
        ssize_t sent = send(s, left[s].bytes, left[s].count, MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN;
        left[s].bytes += sent;
        left[s].count -= sent;
    }
    return 1;
}

/* The load sends one whole request at a time. */
static int answer(int s) {
    static char buffer[65536];
    ssize_t got = recv(s, buffer, sizeof buffer, 0);
    if (got < 0) return errno == EAGAIN;
    for (int i = 0; i < known; i++) {
        size_t length = answers[i].length;
        if ((size_t)got > length + 5 && !memcmp(buffer + 4, answers[i].target, length) && buffer[4 + length] == ' ') {
            left[s].bytes = answers[i].bytes;
            left[s].count = answers[i].count;
            return flush(s);
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2) load(argv[i], argv[i + 1]);
    struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof here;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    if (bind(listener, (void *)&here, size) || listen(listener, 1024)) { perror("floor"); return 1; }
    getsockname(listener, (void *)&here, &size);
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
    int loop = epoll_create1(0);
    struct epoll_event event = { .events = EPOLLIN, .data.fd = listener }, events[256];
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(loop, events, 256, -1);
        for (int i = 0; i < count; i++) {
            int s = events[i].data.fd;
            if (s == listener) {
                int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (client < 0) continue;
                setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                left[client].count = 0;
                event = (struct epoll_event){ .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = client };
                epoll_ctl(loop, EPOLL_CTL_ADD, client, &event);
                continue;
            }
            int good = left[s].count ? flush(s) : 1;
            if (good && !left[s].count && events[i].events & ~EPOLLOUT) good = answer(s);
            if (!good) close(s);
        }
    }
}

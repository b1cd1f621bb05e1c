/* Two servers and their clients, for plans: requests come by themselves at a rate, each side answers after a time and fails
   some. What fails, how long an answer takes and when a request comes are drawn from the seed, each side's from a row of its
   own, in the order in which requests reach it.
   usage: migration_load SEED RATE MICROSECONDS OLD-ERRORS NEW-ERRORS
   Prints the ports of the old and the new side. Each line of the input "PORT" starts the clients against a balancer there,
   an empty one prints: requests and failures of the old side, of the new side, answers to clients, 5xx among them, and
   requests without an answer. It ends with its input. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT = 4096, CLIENTS = 512, BODY = 64 };
enum kind { NONE, LISTENER, SERVED, CLIENT };

static struct { enum kind kind; int side, busy; size_t count; char bytes[4096]; } ends[LIMIT];
static struct { uint64_t row, requests, bad; double errors; } sides[2];
/* Answers to be given, the earliest first. */
static struct due { int64_t at; int end, bad; } heap[LIMIT];
static int due_count, idle[CLIENTS], idle_count, client_count, loop, port;
static uint64_t arrivals, answered, failed, lost;
static double rate, middle;
static int64_t next_arrival = INT64_MAX;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* splitmix64; from 0 to 1, neither of them. */
static double draw(uint64_t *row) {
    uint64_t z = *row += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return ((z ^ z >> 31) >> 11) * 0x1p-53 + 0x1p-54;
}

static void fail(const char *what) { perror(what); exit(1); }

static void add(int s, enum kind kind, int side) {
    if (s >= LIMIT) { fprintf(stderr, "too many connections\n"); exit(1); }
    int one = 1;
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    ends[s].kind = kind;
    ends[s].side = side;
    ends[s].busy = 0;
    ends[s].count = 0;
    struct epoll_event event = { .events = EPOLLIN, .data.fd = s };
    if (epoll_ctl(loop, EPOLL_CTL_ADD, s, &event)) fail("epoll_ctl");
}

static int listener(int side) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (s < 0 || bind(s, (void *)&address, length) || listen(s, 4096)) fail("listen");
    getsockname(s, (void *)&address, &length);
    add(s, LISTENER, side);
    return ntohs(address.sin_port);
}

static void drop(int s) {
    if (ends[s].kind == CLIENT) {
        client_count--;
        if (ends[s].busy) lost++;
        for (int i = 0; i < idle_count; i++) if (idle[i] == s) idle[i--] = idle[--idle_count];
    }
    for (int i = 0; i < due_count; i++) if (heap[i].end == s) heap[i].end = -1;
    ends[s].kind = NONE;
    close(s);
}

static void swap(int a, int b) { struct due held = heap[a]; heap[a] = heap[b]; heap[b] = held; }

static void put(struct due due) {
    int i = due_count++;
    for (heap[i] = due; i && heap[(i - 1) / 2].at > heap[i].at; i = (i - 1) / 2) swap(i, (i - 1) / 2);
}

static struct due take(void) {
    struct due first = heap[0];
    heap[0] = heap[--due_count];
    for (int i = 0, child; (child = 2 * i + 1) < due_count; i = child) {
        if (child + 1 < due_count && heap[child + 1].at < heap[child].at) child++;
        if (heap[i].at <= heap[child].at) break;
        swap(i, child);
    }
    return first;
}

/* Times are lognormal, of deviation 0.5, as those of servers are; both sides' alike. */
static void request(int s) {
    int side = ends[s].side;
    double chance = draw(&sides[side].row), radius = draw(&sides[side].row), angle = draw(&sides[side].row);
    double normal = sqrt(-2 * log(radius)) * cos(2 * M_PI * angle);
    int bad = chance < sides[side].errors;
    sides[side].requests++;
    sides[side].bad += bad;
    put((struct due){ now() + (int64_t)(middle * 1000 * exp(0.5 * normal)), s, bad });
}

static void answer(struct due due) {
    static const char head[] = "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%*s";
    char bytes[512];
    if (due.end < 0) return;
    int count = snprintf(bytes, sizeof bytes, head, due.bad ? "503 Service Unavailable" : "200 OK", BODY, BODY, ".");
    if (send(due.end, bytes, count, MSG_NOSIGNAL) != count) drop(due.end);
}

/* Sends a request by a connection that is free, or by a new one; 0: there may be no more. */
static int ask(void) {
    static const char text[] = "GET /candidates HTTP/1.1\r\nHost: plan.example\r\n\r\n";
    int s;
    if (idle_count) {
        s = idle[--idle_count];
    } else {
        if (client_count == CLIENTS) return 0;
        struct sockaddr_in address = {
            .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port) };
        s = socket(AF_INET, SOCK_STREAM, 0);
        if (s < 0 || connect(s, (void *)&address, sizeof address)) fail("connect");
        fcntl(s, F_SETFL, O_NONBLOCK);
        add(s, CLIENT, 0);
        client_count++;
    }
    ends[s].busy = 1;
    if (send(s, text, sizeof text - 1, MSG_NOSIGNAL) != sizeof text - 1) drop(s);
    return 1;
}

static void finish(int s) {
    char *end, *length;
    ends[s].bytes[ends[s].count] = 0;
    if (!(end = strstr(ends[s].bytes, "\r\n\r\n"))) return;
    if (!(length = strcasestr(ends[s].bytes, "\r\ncontent-length:")) || length > end) return drop(s);
    if (ends[s].count < (size_t)(end + 4 - ends[s].bytes) + strtoul(length + 17, NULL, 10)) return;
    answered++;
    if (ends[s].bytes[9] == '5') failed++;
    ends[s].busy = 0;
    ends[s].count = 0;
    idle[idle_count++] = s;
}

static void readable(int s) {
    if (ends[s].kind == LISTENER) {
        int made;
        while ((made = accept4(s, NULL, NULL, SOCK_NONBLOCK)) >= 0) add(made, SERVED, ends[s].side);
        return;
    }
    ssize_t got = recv(s, ends[s].bytes + ends[s].count, sizeof ends[s].bytes - 1 - ends[s].count, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return drop(s);
    ends[s].count += got;
    if (ends[s].kind == CLIENT) return finish(s);
    if (ends[s].count < 4 || memcmp(ends[s].bytes + ends[s].count - 4, "\r\n\r\n", 4)) return;
    ends[s].count = 0;
    request(s);
}

/* False: the input has ended. */
static int obey(void) {
    static char text[64];
    static size_t count;
    ssize_t got = read(0, text + count, sizeof text - 1 - count);
    if (got <= 0) return 0;
    text[count += got] = 0;
    for (char *end; (end = strchr(text, '\n')); memmove(text, end + 1, count + 1)) {
        if (end != text) {
            port = atoi(text);
            next_arrival = now();
        } else {
            printf("%lu %lu %lu %lu %lu %lu %lu\n", sides[0].requests, sides[0].bad, sides[1].requests, sides[1].bad,
                   answered, failed, lost);
            fflush(stdout);
        }
        count -= end + 1 - text;
    }
    return 1;
}

int main(int count, char **words) {
    if (count != 6) { fprintf(stderr, "usage: migration_load SEED RATE MICROSECONDS OLD-ERRORS NEW-ERRORS\n"); return 2; }
    uint64_t seed = strtoull(words[1], NULL, 10);
    rate = atof(words[2]);
    middle = atof(words[3]);
    /* Rows far from each other, whatever the seed is. */
    for (uint64_t i = 0, row = seed * 4; i < 3; i++) {
        uint64_t start = row + i;
        draw(&start);
        *(i < 2 ? &sides[i].row : &arrivals) = (uint64_t)(draw(&start) * 0x1p64);
    }
    for (int i = 0; i < 2; i++) sides[i].errors = atof(words[4 + i]);
    loop = epoll_create1(0);
    struct epoll_event input = { .events = EPOLLIN, .data.fd = 0 };
    if (epoll_ctl(loop, EPOLL_CTL_ADD, 0, &input)) fail("input");
    int old = listener(0);
    printf("%d %d\n", old, listener(1));
    fflush(stdout);
    for (;;) {
        int64_t time = now(), next = next_arrival;
        while (due_count && heap[0].at <= time) answer(take());
        while (next_arrival <= time && ask()) next_arrival += (int64_t)(-log(draw(&arrivals)) / rate * 1e9);
        next = next_arrival <= time ? INT64_MAX : next_arrival;
        if (due_count && heap[0].at < next) next = heap[0].at;
        int64_t left = next == INT64_MAX ? 1000000000 : next > (time = now()) ? next - time : 0;
        struct timespec wait = { left / 1000000000, left % 1000000000 };
        struct epoll_event events[128];
        int ready = epoll_pwait2(loop, events, 128, &wait, NULL);
        for (int i = 0; i < ready; i++) {
            int s = events[i].data.fd;
            if (s == 0) { if (!obey()) return 0; } else if (ends[s].kind != NONE) readable(s);
        }
    }
}

// New TLS connections, as many as go: each a handshake, one request, a close. `openssl s_time` sends no Host, which a proxy
// may not pass on over a connection that is kept; this client asks as browsers do.
//
//     handshakes PORT PATH SECONDS new|resumed
//
// `x` and a number in place of SECONDS: so many connections, for a tool that counts what they cost.
// Four clients at a time. Prints how many connections were answered with 200, and how many of them were resumed.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 4 };

static int port;
static char request[512];
static bool resumes;
static double end;
static long limit;
static atomic_long begun, answered, resumed;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static SSL_CTX *make_context(void) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    return context;
}

static void *client(void *unused) {
    (void)unused;
    // Each its own context: the library's locks are not what is measured.
    SSL_CTX *context = make_context();
    SSL_SESSION *session = NULL;
    while (limit > 0 ? begun++ < limit : now() < end) {
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
        setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(s, (struct sockaddr *)&to, sizeof to) != 0) {
            perror("connect");
            exit(1);
        }
        SSL *ssl = SSL_new(context);
        SSL_set_fd(ssl, s);
        SSL_set_tlsext_host_name(ssl, "localhost");
        if (resumes && session != NULL) SSL_set_session(ssl, session);
        if (SSL_connect(ssl) != 1 || SSL_write(ssl, request, strlen(request)) <= 0) {
            fprintf(stderr, "no handshake\n");
            exit(1);
        }
        char answer[4096];
        int count = SSL_read(ssl, answer, sizeof answer);
        if (count < 12 || memcmp(answer, "HTTP/1.1 200", 12) != 0) {
            fprintf(stderr, "no answer\n");
            exit(1);
        }
        while (SSL_read(ssl, answer, sizeof answer) > 0) {}
        answered++;
        if (SSL_session_reused(ssl)) resumed++;
        if (resumes) {
            SSL_SESSION_free(session);
            session = SSL_get1_session(ssl);
        }
        SSL_shutdown(ssl);
        SSL_free(ssl);
        close(s);
    }
    SSL_SESSION_free(session);
    SSL_CTX_free(context);
    return NULL;
}

int main(int count, char **words) {
    if (count != 5) {
        fprintf(stderr, "usage: %s PORT PATH SECONDS new|resumed\n", words[0]);
        return 2;
    }
    port = atoi(words[1]);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", words[2]);
    resumes = strcmp(words[4], "resumed") == 0;
    if (words[3][0] == 'x') limit = atol(words[3] + 1);
    else end = now() + atof(words[3]);
    pthread_t threads[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) pthread_create(&threads[i], NULL, client, NULL);
    for (int i = 0; i < CLIENTS; i++) pthread_join(threads[i], NULL);
    printf("%ld answered, %ld resumed\n", atomic_load(&answered), atomic_load(&resumed));
    return 0;
}

/* The floor of TLS: what OpenSSL and the kernel cost a proxy that does nothing besides. Accepts, shakes hands, passes the request's
   bytes to an upstream connection that is kept, passes the answer's back, and closes when the request says so. It knows of HTTP
   no more than Content-Length in an answer and "Connection: close" in a request, answers one request at a time on a connection, and takes
   what peers send for well-formed. The library is set up as cheaply as we know: our ciphers, one ticket, records read from memory
   and written with one call.
   usage: tls_floor PORT UPSTREAM-PORT CERTIFICATE KEY [ANSWER-BYTES]: with the latter it answers itself and has no upstream. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Either end of an exchange: a client has a session, an upstream connection none. */
typedef struct end {
    SSL *ssl;
    int socket, is_shaken, closes;
    struct end *peer, *next;
    /* Bytes of the answer that are still to come; -1: its head has not. */
    long left;
} end;

static struct { const char *in; size_t in_count; size_t out_count; } io;
static char input[262144], output[524288], plain[262144];
static char *own_answer;
static size_t own_count;
static SSL_CTX *context;
static BIO *memory;
static EVP_CIPHER *ticket_cipher;
static unsigned char ticket_key[80];
/* Upstream connections that rest; clients that are gone, whose events may still be among those of this turn. */
static end *idle, *gone;
static int loop, upstream_port;

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* Ends as programs do that are measured: callgrind writes what it has counted. */
static void stop(int number) {
    (void)number;
    exit(0);
}

static int io_read(BIO *bio, char *room, size_t size, size_t *count) {
    BIO_clear_retry_flags(bio);
    *count = size < io.in_count ? size : io.in_count;
    if (*count == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(room, io.in, *count);
    io.in += *count;
    io.in_count -= *count;
    return 1;
}

static int io_write(BIO *bio, const char *bytes, size_t size, size_t *count) {
    BIO_clear_retry_flags(bio);
    if (size > sizeof output - io.out_count) die("no room for a record");
    memcpy(output + io.out_count, bytes, size);
    io.out_count += *count = size;
    return 1;
}

static long io_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static int io_create(BIO *bio) {
    BIO_set_init(bio, 1);
    return 1;
}

static int on_ticket(
    SSL *ssl, unsigned char *name, unsigned char *vector, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypts) {
    (void)ssl;
    if (encrypts) {
        memcpy(name, ticket_key, 16);
        if (RAND_bytes(vector, 16) != 1) return 0;
    }
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, ticket_key + 16, 32),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "SHA256", 0), OSSL_PARAM_construct_end()};
    int good = EVP_MAC_CTX_set_params(mac, parameters) == 1
        && EVP_CipherInit_ex(cipher, ticket_cipher, NULL, ticket_key + 48, vector, encrypts) == 1;
    return !good ? 0 : encrypts ? 1 : 2;
}

static void prepare(const char *certificate, const char *key) {
    context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS
        | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384");
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"floor", 5);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
    ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (RAND_bytes(ticket_key, sizeof ticket_key) != 1 || SSL_CTX_use_certificate_chain_file(context, certificate) != 1
        || SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) die("certificate");
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "memory");
    BIO_meth_set_read_ex(method, io_read);
    BIO_meth_set_write_ex(method, io_write);
    BIO_meth_set_ctrl(method, io_control);
    BIO_meth_set_create(method, io_create);
    memory = BIO_new(method);
}

static struct sockaddr_in local(int port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static end *add(int socket) {
    end *one = calloc(1, sizeof *one);
    one->socket = socket;
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = one };
    epoll_ctl(loop, EPOLL_CTL_ADD, socket, &event);
    return one;
}

static end *take_upstream(void) {
    end *one = idle;
    if (one != NULL) {
        idle = one->next;
        return one;
    }
    int s = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    struct sockaddr_in to = local(upstream_port);
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(s, (struct sockaddr *)&to, sizeof to) != 0) die("upstream");
    return add(s);
}

/* Once: the loads that are measured read what they are sent. */
static void leave(end *client, int waits) {
    size_t sent = 0;
    while (sent < io.out_count) {
        ssize_t count = send(client->socket, output + sent, io.out_count - sent, MSG_NOSIGNAL | (waits ? MSG_MORE : 0));
        if (count < 0 && errno != EAGAIN) break;
        if (count > 0) sent += count;
    }
    io.out_count = 0;
}

static void drop(end *client) {
    if (client->peer != NULL) client->peer->peer = NULL;
    SSL_free(client->ssl);
    client->ssl = NULL;
    close(client->socket);
    client->socket = -1;
    client->next = gone;
    gone = client;
}

static void write_plain(end *client, const char *bytes, size_t count) {
    for (size_t at = 0; at < count; at += 16384) {
        size_t written;
        if (SSL_write_ex(client->ssl, bytes + at, count - at < 16384 ? count - at : 16384, &written) != 1) break;
    }
}

static void answered(end *client) {
    if (client->closes) SSL_shutdown(client->ssl);
    leave(client, 0);
    if (client->closes) drop(client);
}

static void client_ready(end *client) {
    ssize_t got = recv(client->socket, input, 65536, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return drop(client);
    io.in = input;
    io.in_count = got;
    if (!client->is_shaken) {
        int result = SSL_do_handshake(client->ssl);
        client->is_shaken = result == 1;
        leave(client, client->is_shaken);
        if (!client->is_shaken) {
            if (SSL_get_error(client->ssl, result) != SSL_ERROR_WANT_READ) drop(client);
            return;
        }
        if (io.in_count == 0) return;
    }
    size_t count = 0;
    int result = SSL_read_ex(client->ssl, plain, sizeof plain, &count);
    if (result != 1) {
        if (SSL_get_error(client->ssl, result) != SSL_ERROR_WANT_READ) drop(client);
        return;
    }
    char *close_field = memmem(plain, count, "Connection: close", 17);
    client->closes = close_field != NULL;
    /* Not the upstream's business, whose connection is kept. */
    if (client->closes) memcpy(close_field, "X-Floor-Closes: 1", 17);
    if (own_answer != NULL) {
        write_plain(client, own_answer, own_count);
        return answered(client);
    }
    end *upstream = take_upstream();
    upstream->peer = client;
    client->peer = upstream;
    upstream->left = -1;
    if (send(upstream->socket, plain, count, MSG_NOSIGNAL) != (ssize_t)count) die("upstream");
}

static void upstream_ready(end *upstream) {
    ssize_t got = recv(upstream->socket, plain, sizeof plain, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) die("upstream");
    if (upstream->left < 0) {
        char *body = memmem(plain, got, "\r\n\r\n", 4), *length = memmem(plain, got, "Content-Length: ", 16);
        if (body == NULL || length == NULL) die("answer");
        upstream->left = body + 4 - plain + atol(length + 16);
    }
    upstream->left -= got;
    end *client = upstream->peer;
    if (client != NULL) write_plain(client, plain, got);
    if (upstream->left > 0) {
        if (client != NULL) leave(client, 0);
        return;
    }
    upstream->peer = NULL;
    upstream->next = idle;
    idle = upstream;
    if (client == NULL) return;
    client->peer = NULL;
    answered(client);
}

int main(int count, char **words) {
    if (count < 5) return 2;
    signal(SIGTERM, stop);
    upstream_port = atoi(words[2]);
    prepare(words[3], words[4]);
    if (count > 5) {
        size_t body = atol(words[5]);
        own_answer = malloc(body + 128);
        own_count = sprintf(own_answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", body);
        memset(own_answer + own_count, 'a', body);
        own_count += body;
    }
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct sockaddr_in at = local(atoi(words[1]));
    if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 4096) != 0) die("listen");
    loop = epoll_create1(0);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event events[256];
        int ready = epoll_wait(loop, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            end *one = events[i].data.ptr;
            if (one != NULL) {
                if (one->ssl != NULL) client_ready(one);
                else if (one->socket >= 0) upstream_ready(one);
                continue;
            }
            int s = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            if (s < 0) continue;
            one = add(s);
            one->ssl = SSL_new(context);
            BIO_up_ref(memory);
            SSL_set0_rbio(one->ssl, memory);
            BIO_up_ref(memory);
            SSL_set0_wbio(one->ssl, memory);
            SSL_set_accept_state(one->ssl);
        }
        while (gone != NULL) {
            end *one = gone;
            gone = one->next;
            free(one);
        }
    }
}

#include "COpenSSL.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if OPENSSL_VERSION_NUMBER < 0x30000000L
#error "OpenSSL 3.0 or later is needed"
#endif

// The BIO

static int io_read(BIO *bio, char *room, size_t size, size_t *count) {
    copenssl_io *io = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *count = 0;
    if (io->key_updates_left < 0) return 0;
    if (io->input_count == 0) {
        if (io->input_ended) return 0;
        BIO_set_retry_read(bio);
        return 0;
    }
    size_t taken = size < io->input_count ? size : io->input_count;
    memcpy(room, io->input, taken);
    io->input += taken;
    io->input_count -= taken;
    *count = taken;
    return 1;
}

static int io_write(BIO *bio, const char *bytes, size_t size, size_t *count) {
    copenssl_io *io = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *count = 0;
    // The caller leaves room for all that one call may write.
    if (size > io->output_capacity - io->output_count) return 0;
    memcpy(io->output + io->output_count, bytes, size);
    io->output_count += size;
    *count = size;
    return 1;
}

static long io_control(BIO *bio, int command, long number, void *pointer) {
    (void)number;
    (void)pointer;
    copenssl_io *io = BIO_get_data(bio);
    switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return io->input_ended && io->input_count == 0;
    default: return 0;
    }
}

static int io_create(BIO *bio) {
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *io_method;

static void make_io_method(void) {
    io_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "records in memory");
    if (io_method == NULL) return;
    BIO_meth_set_read_ex(io_method, io_read);
    BIO_meth_set_write_ex(io_method, io_write);
    BIO_meth_set_ctrl(io_method, io_control);
    BIO_meth_set_create(io_method, io_create);
}

BIO *copenssl_bio_new(copenssl_io *io) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_io_method);
    if (io_method == NULL) return NULL;
    BIO *bio = BIO_new(io_method);
    if (bio != NULL) BIO_set_data(bio, io);
    return bio;
}

void copenssl_bio_free(BIO *bio) { BIO_free(bio); }

// Errors

/// Empties the queue, which mostly is empty: the library's own function goes through all its places, 840 instructions each time.
static void clear_errors(void) {
    if (ERR_peek_error() != 0) ERR_clear_error();
}

static void describe(char *text, size_t size) {
    unsigned long code = ERR_peek_last_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    snprintf(text, size, "%s", reason != NULL ? reason : code == 0 ? "connection closed" : "error without a name");
}

copenssl_failure copenssl_reason(const SSL *ssl, char *text, size_t size) {
    BIO *bio = SSL_get_rbio(ssl);
    copenssl_io *io = bio == NULL ? NULL : BIO_get_data(bio);
    if (io != NULL && io->key_updates_left < 0) {
        snprintf(text, size, "too many key updates");
        return COPENSSL_FAILURE_KEY_UPDATES;
    }
    describe(text, size);
    unsigned long code = ERR_peek_error();
    if (ERR_GET_LIB(code) != ERR_LIB_SSL) return COPENSSL_FAILURE_PROTOCOL;
    switch (ERR_GET_REASON(code)) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST: return COPENSSL_FAILURE_PLAIN_HTTP;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW: return COPENSSL_FAILURE_NO_SHARED_CIPHER;
    // What our own callback for the client's hello refuses.
    case SSL_R_CALLBACK_FAILED: return COPENSSL_FAILURE_UNKNOWN_NAME;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return COPENSSL_FAILURE_CLIENT_CERTIFICATE;
    case SSL_R_CERTIFICATE_VERIFY_FAILED: {
        long why = SSL_get_verify_result(ssl);
        if (why != X509_V_OK) snprintf(text, size, "%s", X509_verify_cert_error_string(why));
        return SSL_is_server(ssl) ? COPENSSL_FAILURE_CLIENT_CERTIFICATE : COPENSSL_FAILURE_CERTIFICATE;
    }
    // Found here, or told by the other side (RFC 7301 3.2).
    case SSL_R_NO_APPLICATION_PROTOCOL:
    case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: return COPENSSL_FAILURE_ALPN;
    default: return COPENSSL_FAILURE_PROTOCOL;
    }
}

// Sessions

enum { MESSAGE_KEY_UPDATE = 24 };

/// Counts KeyUpdates: the library has no bound of its own, and each costs two derivations of keys.
static void on_message(
    int is_written, int version, int content, const void *bytes, size_t count, SSL *ssl, void *owner) {
    (void)version;
    (void)owner;
    if (is_written || content != SSL3_RT_HANDSHAKE || count == 0) return;
    if (((const uint8_t *)bytes)[0] != MESSAGE_KEY_UPDATE) return;
    copenssl_io *io = BIO_get_data(SSL_get_rbio(ssl));
    if (io->key_updates_left >= 0) io->key_updates_left -= 1;
}

static SSL *session_new(SSL_CTX *context, BIO *bio) {
    clear_errors();
    SSL *ssl = SSL_new(context);
    if (ssl == NULL) return NULL;
    BIO_up_ref(bio);
    SSL_set0_rbio(ssl, bio);
    BIO_up_ref(bio);
    SSL_set0_wbio(ssl, bio);
    SSL_set_msg_callback(ssl, on_message);
    return ssl;
}

SSL *copenssl_accepting(SSL_CTX *context, BIO *bio) {
    SSL *ssl = session_new(context, bio);
    if (ssl != NULL) SSL_set_accept_state(ssl);
    return ssl;
}

SSL *copenssl_connecting(SSL_CTX *context, BIO *bio, const char *name, bool is_address, bool verifies) {
    SSL *ssl = session_new(context, bio);
    if (ssl == NULL) return NULL;
    SSL_set_connect_state(ssl);
    int good = 1;
    if (is_address) {
        if (verifies) good = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
    } else {
        good = SSL_set_tlsext_host_name(ssl, name) == 1;
        if (verifies) {
            SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
            good = good && SSL_set1_host(ssl, name);
        }
    }
    if (!good) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

bool copenssl_offer_protocols(SSL *ssl, const unsigned char *names, unsigned int count) {
    // 0 is success, against the library's habit.
    return SSL_set_alpn_protos(ssl, names, count) == 0;
}

void copenssl_free(SSL *ssl) { SSL_free(ssl); }

static copenssl_result result_of(const SSL *ssl, int returned) {
    switch (SSL_get_error(ssl, returned)) {
    case SSL_ERROR_NONE: return COPENSSL_DONE;
    case SSL_ERROR_WANT_READ: return COPENSSL_WANTS;
    case SSL_ERROR_ZERO_RETURN: return COPENSSL_CLOSED;
    default: return COPENSSL_FAILED;
    }
}

/// Frees what is in a key of the exchange, and drops it.
static void empty(EVP_PKEY *key) {
    // To set a type frees the key that the object had; the library keeps the object as long as the session.
    (void)EVP_PKEY_set_type(key, EVP_PKEY_get_base_id(key));
    EVP_PKEY_free(key);
}

/// Both keys of the exchange have done their work, and ours is one that nobody shall find later.
static void forget_exchange(SSL *ssl) {
    EVP_PKEY *key = NULL;
    if (SSL_get_tmp_key(ssl, &key) == 1 && key != NULL) empty(key);
    key = NULL;
    if (SSL_get_peer_tmp_key(ssl, &key) == 1 && key != NULL) empty(key);
    clear_errors();
}

copenssl_result copenssl_handshake(SSL *ssl) {
    clear_errors();
    int returned = SSL_do_handshake(ssl);
    if (returned != 1) return result_of(ssl, returned);
    forget_exchange(ssl);
    return COPENSSL_DONE;
}

copenssl_result copenssl_read(SSL *ssl, void *room, size_t size, size_t *count) {
    const copenssl_io *io = BIO_get_data(SSL_get_rbio(ssl));
    size_t total = 0;
    copenssl_result result = COPENSSL_DONE;
    while (total < size) {
        size_t got = 0;
        clear_errors();
        int returned = SSL_read_ex(ssl, (uint8_t *)room + total, size - total, &got);
        if (returned != 1) {
            result = result_of(ssl, returned);
            break;
        }
        total += got;
        // Without another byte the library could only say that it wants more; whether an end is a clean one it has to say itself.
        if (io->input_count == 0 && !io->input_ended && SSL_has_pending(ssl) == 0) {
            result = COPENSSL_WANTS;
            break;
        }
    }
    *count = total;
    return result;
}

size_t copenssl_pending(const SSL *ssl) { return (size_t)SSL_pending(ssl); }
bool copenssl_has_part(const SSL *ssl) { return SSL_has_pending(ssl) == 1; }

bool copenssl_write(SSL *ssl, const void *bytes, size_t count) {
    // A peer may have asked for records that are smaller (RFC 6066 4): then it takes several.
    size_t total = 0;
    while (total < count) {
        size_t written = 0;
        clear_errors();
        if (SSL_write_ex(ssl, (const uint8_t *)bytes + total, count - total, &written) != 1) return false;
        total += written;
    }
    return true;
}

void copenssl_shutdown(SSL *ssl) {
    clear_errors();
    (void)SSL_shutdown(ssl);
    clear_errors();
}

int copenssl_version(const SSL *ssl) { return SSL_version(ssl); }
bool copenssl_resumed(const SSL *ssl) { return SSL_session_reused(ssl) == 1; }

const char *copenssl_cipher(const SSL *ssl) {
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    const char *name = cipher == NULL ? NULL : SSL_CIPHER_standard_name(cipher);
    return name == NULL ? "" : name;
}

bool copenssl_is_http2(const SSL *ssl) {
    const unsigned char *name = NULL;
    unsigned int length = 0;
    SSL_get0_alpn_selected(ssl, &name, &length);
    return length == 2 && memcmp(name, "h2", 2) == 0;
}

const char *copenssl_server_name(const SSL *ssl) { return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name); }

bool copenssl_has_ended_peer(const SSL *ssl) {
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    return certificate != NULL && X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0;
}

bool copenssl_has_peer_certificate(const SSL *ssl) { return SSL_get0_peer_certificate(ssl) != NULL; }

size_t copenssl_peer_certificate(const SSL *ssl, size_t index, uint8_t *room, size_t size) {
    X509 *certificate = NULL;
    if (index == 0) {
        certificate = SSL_get0_peer_certificate(ssl);
    } else {
        // The path by which it was believed, the leaf first. What the peer has sent beside it is its own claim, which nobody has
        // looked at.
        STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
        if (chain != NULL && (int)index < sk_X509_num(chain)) certificate = sk_X509_value(chain, (int)index);
    }
    if (certificate == NULL) return 0;
    int length = i2d_X509(certificate, NULL);
    if (length <= 0 || (size_t)length > size) return 0;
    unsigned char *end = room;
    return (size_t)i2d_X509(certificate, &end);
}

// Tickets

struct copenssl_tickets {
    pthread_mutex_t lock;
    size_t count;
    uint8_t keys[COPENSSL_TICKET_KEYS][COPENSSL_TICKET_KEY];
};

copenssl_tickets *copenssl_tickets_new(void) {
    copenssl_tickets *tickets = calloc(1, sizeof *tickets);
    if (tickets != NULL) pthread_mutex_init(&tickets->lock, NULL);
    return tickets;
}

void copenssl_tickets_free(copenssl_tickets *tickets) {
    if (tickets == NULL) return;
    pthread_mutex_destroy(&tickets->lock);
    OPENSSL_cleanse(tickets, sizeof *tickets);
    free(tickets);
}

void copenssl_tickets_set(copenssl_tickets *tickets, const uint8_t *keys, size_t count) {
    if (count > COPENSSL_TICKET_KEYS) count = COPENSSL_TICKET_KEYS;
    pthread_mutex_lock(&tickets->lock);
    OPENSSL_cleanse(tickets->keys, sizeof tickets->keys);
    if (count > 0) memcpy(tickets->keys, keys, count * COPENSSL_TICKET_KEY);
    tickets->count = count;
    pthread_mutex_unlock(&tickets->lock);
}

bool copenssl_random(uint8_t *room, size_t count) {
    clear_errors();
    return count <= INT32_MAX && RAND_bytes(room, (int)count) == 1;
}

bool copenssl_digest(const void *bytes, size_t count, uint8_t digest[32]) {
    clear_errors();
    return EVP_Digest(bytes, count, digest, NULL, EVP_sha256(), NULL) == 1;
}

struct copenssl_mac {
    EVP_MAC_CTX *context;
    uint8_t key[32];
};

copenssl_mac *copenssl_mac_new(const uint8_t key[32]) {
    clear_errors();
    copenssl_mac *mac = calloc(1, sizeof *mac);
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (mac != NULL && algorithm != NULL) mac->context = EVP_MAC_CTX_new(algorithm);
    EVP_MAC_free(algorithm);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0), OSSL_PARAM_construct_end()};
    if (mac == NULL || mac->context == NULL || EVP_MAC_init(mac->context, key, 32, parameters) != 1) {
        copenssl_mac_free(mac);
        return NULL;
    }
    memcpy(mac->key, key, 32);
    return mac;
}

void copenssl_mac_free(copenssl_mac *mac) {
    if (mac == NULL) return;
    EVP_MAC_CTX_free(mac->context);
    OPENSSL_cleanse(mac, sizeof *mac);
    free(mac);
}

bool copenssl_mac_make(copenssl_mac *mac, const void *bytes, size_t count, uint8_t code[32]) {
    clear_errors();
    size_t length = 0;
    // Without parameters: the digest stays, and nothing is fetched.
    return EVP_MAC_init(mac->context, mac->key, 32, NULL) == 1 && EVP_MAC_update(mac->context, bytes, count) == 1
        && EVP_MAC_final(mac->context, code, &length, 32) == 1 && length == 32;
}

/// What the contexts of a listener share with their callbacks.
typedef struct shared {
    copenssl_listener *listener;
    EVP_CIPHER *cipher;
} shared;

static int shared_index = -1;
static int staples_index = -1;

typedef struct staple {
    struct staple *next;
    X509 *certificate;
    int64_t begins;
    int64_t ends;
    size_t count;
    uint8_t bytes[];
} staple;

static void free_shared(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long number, void *argument) {
    (void)parent, (void)data, (void)index, (void)number, (void)argument;
    shared *held = pointer;
    if (held == NULL) return;
    EVP_CIPHER_free(held->cipher);
    free(held);
}

static void free_staples(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long number, void *argument) {
    (void)parent, (void)data, (void)index, (void)number, (void)argument;
    staple *next = pointer;
    while (next != NULL) {
        staple *one = next;
        next = one->next;
        X509_free(one->certificate);
        free(one);
    }
}

static void make_indices(void) {
    shared_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_shared);
    staples_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_staples);
}

static shared *shared_of(const SSL *ssl) {
    return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), shared_index);
}

static int on_ticket(
    SSL *ssl, unsigned char *name, unsigned char *vector, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypts) {
    shared *held = shared_of(ssl);
    copenssl_tickets *tickets = held == NULL ? NULL : held->listener->tickets;
    if (tickets == NULL) return 0;
    uint8_t key[COPENSSL_TICKET_KEY];
    size_t found = SIZE_MAX;
    pthread_mutex_lock(&tickets->lock);
    if (encrypts) {
        if (tickets->count > 0) found = 0;
    } else {
        for (size_t at = 0; at < tickets->count && found == SIZE_MAX; at++)
            if (CRYPTO_memcmp(tickets->keys[at], name, 16) == 0) found = at;
    }
    if (found != SIZE_MAX) memcpy(key, tickets->keys[found], sizeof key);
    pthread_mutex_unlock(&tickets->lock);
    // Without a key there is no ticket, and the handshake goes on.
    if (found == SIZE_MAX) return 0;
    int good = 1;
    if (encrypts) {
        memcpy(name, key, 16);
        good = RAND_bytes(vector, EVP_CIPHER_get_iv_length(held->cipher)) == 1;
    }
    OSSL_PARAM parameters[3] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key + 16, 32),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    good = good && EVP_MAC_CTX_set_params(mac, parameters) == 1;
    good = good && EVP_CipherInit_ex(cipher, held->cipher, NULL, key + 48, vector, encrypts) == 1;
    OPENSSL_cleanse(key, sizeof key);
    if (!good) {
        clear_errors();
        return 0;
    }
    if (encrypts) return 1;
    return found == 0 && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
}

// Contexts

OSSL_LIB_CTX *copenssl_library_new(void) { return OSSL_LIB_CTX_new(); }
void copenssl_context_free(SSL_CTX *context) { SSL_CTX_free(context); }

/// Before the library asks whether the session may be resumed: a ticket of one name must not open another.
static int on_hello(SSL *ssl, int *alert, void *argument) {
    copenssl_listener *listener = argument;
    const unsigned char *bytes = NULL;
    size_t count = 0;
    char name[256];
    size_t length = 0;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &count)) {
        // RFC 6066 3: a list of (type, name), of which only type 0, a host name, was ever defined.
        if (count < 5) goto malformed;
        size_t list = (size_t)bytes[0] << 8 | bytes[1];
        if (list != count - 2 || bytes[2] != TLSEXT_NAMETYPE_host_name) goto malformed;
        length = (size_t)bytes[3] << 8 | bytes[4];
        if (length == 0 || length > 255 || length > list - 3) goto malformed;
        for (size_t at = 0; at < length; at++) {
            unsigned char byte = bytes[5 + at];
            if (byte == 0) goto malformed;
            name[at] = (char)(byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte);
        }
        if (name[length - 1] == '.') goto malformed;
    }
    SSL_CTX *context = listener->choose(listener->owner, name, length);
    if (context == NULL) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (context != SSL_get_SSL_CTX(ssl)) SSL_set_SSL_CTX(ssl, context);
    return SSL_CLIENT_HELLO_SUCCESS;
malformed:
    *alert = SSL_AD_DECODE_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

static int on_name(SSL *ssl, int *alert, void *argument) {
    (void)ssl, (void)alert, (void)argument;
    // Chosen in the client's hello already; this only lets the library acknowledge the name.
    return SSL_TLSEXT_ERR_OK;
}

static int on_alpn(
    SSL *ssl, const unsigned char **out, unsigned char *length, const unsigned char *offered, unsigned int count,
    void *argument) {
    (void)ssl;
    copenssl_listener *listener = argument;
    static const unsigned char both[] = "\x02h2\x08http/1.1";
    const unsigned char *ours = listener->http2 ? both : both + 3;
    unsigned int ours_count = listener->http2 ? 12 : 9;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, length, ours, ours_count, offered, count) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int on_status(SSL *ssl, void *argument) {
    (void)argument;
    X509 *certificate = SSL_get_certificate(ssl);
    for (staple *one = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), staples_index); one != NULL; one = one->next) {
        if (one->certificate != certificate) continue;
        int64_t now = (int64_t)time(NULL);
        if (now < one->begins || now >= one->ends) break;
        uint8_t *copy = OPENSSL_memdup(one->bytes, one->count);
        if (copy == NULL) break;
        SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)one->count);
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

static int no_password(char *room, int size, int is_written, void *argument) {
    (void)room, (void)size, (void)is_written, (void)argument;
    return -1;
}

static bool fail(SSL_CTX *context, const char *what, char *text, size_t size) {
    char reason[256];
    describe(reason, sizeof reason);
    snprintf(text, size, "%s: %s", what, reason);
    clear_errors();
    SSL_CTX_free(context);
    return false;
}

static void set_common(SSL_CTX *context) {
    SSL_CTX_set_mode(
        context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_default_passwd_cb(context, no_password);
    SSL_CTX_set_read_ahead(context, 0);
}

static STACK_OF(X509) *read_certificates(OSSL_LIB_CTX *library, const char *pem, size_t count) {
    STACK_OF(X509) *all = sk_X509_new_null();
    BIO *bio = count > INT32_MAX ? NULL : BIO_new_mem_buf(pem, (int)count);
    while (all != NULL && bio != NULL) {
        X509 *one = X509_new_ex(library, NULL);
        if (one == NULL || PEM_read_bio_X509(bio, &one, no_password, NULL) == NULL) {
            X509_free(one);
            break;
        }
        if (sk_X509_push(all, one) <= 0) {
            X509_free(one);
            break;
        }
    }
    BIO_free(bio);
    // The end of the file is an error to the library.
    if (all != NULL && sk_X509_num(all) > 0 && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
        clear_errors();
    return all;
}

static void free_certificates(STACK_OF(X509) *all) { sk_X509_pop_free(all, X509_free); }

static bool trust(
    SSL_CTX *context, OSSL_LIB_CTX *library, const char *pem, size_t count, bool announces, const char *revoked,
    size_t revoked_count) {
    STACK_OF(X509) *all = read_certificates(library, pem, count);
    int found = all == NULL ? 0 : sk_X509_num(all);
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    bool good = found > 0 && ERR_peek_error() == 0;
    for (int at = 0; good && at < found; at++) {
        X509 *one = sk_X509_value(all, at);
        good = X509_STORE_add_cert(store, one) == 1;
        if (good && announces) good = SSL_CTX_add_client_CA(context, one) == 1;
    }
    free_certificates(all);
    if (!good || revoked == NULL) return good;
    BIO *bio = BIO_new_mem_buf(revoked, (int)revoked_count);
    int lists = 0;
    while (bio != NULL) {
        X509_CRL *list = PEM_read_bio_X509_CRL(bio, NULL, no_password, NULL);
        if (list == NULL) break;
        lists += X509_STORE_add_crl(store, list) == 1;
        X509_CRL_free(list);
    }
    BIO_free(bio);
    if (lists == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) return false;
    clear_errors();
    // Of the whole chain: an authority in between may be revoked as well.
    return X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1;
}

SSL_CTX *copenssl_server_new(
    OSSL_LIB_CTX *library, copenssl_listener *listener, const copenssl_server_options *options, char *text, size_t size) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_indices);
    clear_errors();
    SSL_CTX *context = SSL_CTX_new_ex(library, NULL, TLS_server_method());
    if (context == NULL) return fail(NULL, "TLS", text, size), NULL;
    set_common(context);
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_min_proto_version(context, options->minimum_version);
    SSL_CTX_set_max_early_data(context, 0);
    SSL_CTX_set_session_id_context(context, options->session_context, 32);
    if (SSL_CTX_set1_groups_list(context, options->groups) != 1) return fail(context, "groups", text, size), NULL;
    if (SSL_CTX_set_ciphersuites(context, options->cipher_suites) != 1)
        return fail(context, "cipherSuites", text, size), NULL;
    if (SSL_CTX_set_cipher_list(context, options->ciphers) != 1) return fail(context, "ciphers", text, size), NULL;
    shared *held = calloc(1, sizeof *held);
    if (held == NULL || SSL_CTX_set_ex_data(context, shared_index, held) != 1) {
        free(held);
        return fail(context, "TLS", text, size), NULL;
    }
    held->listener = listener;
    held->cipher = EVP_CIPHER_fetch(library, "AES-256-CBC", NULL);
    if (held->cipher == NULL) return fail(context, "AES-256-CBC", text, size), NULL;
    if (listener->tickets == NULL) {
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(context, 0);
    } else {
        SSL_CTX_set_num_tickets(context, 1);
        SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
        SSL_CTX_set_timeout(context, (long)listener->ticket_seconds);
    }
    SSL_CTX_set_client_hello_cb(context, on_hello, listener);
    SSL_CTX_set_tlsext_servername_callback(context, on_name);
    SSL_CTX_set_alpn_select_cb(context, on_alpn, listener);
    SSL_CTX_set_tlsext_status_cb(context, on_status);
    if (options->client_certificates > 0) {
        if (!trust(
                context, library, options->client_authorities, options->client_authorities_count, true, options->revoked,
                options->revoked_count))
            return fail(context, "clientCertificates", text, size), NULL;
        int mode = SSL_VERIFY_PEER | (options->client_certificates > 1 ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
        SSL_CTX_set_verify(context, mode, NULL);
        SSL_CTX_set_verify_depth(context, options->depth);
    }
    return context;
}

static int on_session(SSL *ssl, SSL_SESSION *session) {
    (void)session;
    copenssl_io *io = BIO_get_data(SSL_get_rbio(ssl));
    io->sessions += 1;
    return 0;
}

SSL_CTX *copenssl_client_new(
    OSSL_LIB_CTX *library, const copenssl_client_options *options, char *text, size_t size) {
    clear_errors();
    SSL_CTX *context = SSL_CTX_new_ex(library, NULL, TLS_client_method());
    if (context == NULL) return fail(NULL, "TLS", text, size), NULL;
    set_common(context);
    SSL_CTX_set_min_proto_version(context, options->minimum_version);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, on_session);
    if (options->verifies) {
        bool good = options->authorities == NULL
            ? SSL_CTX_set_default_verify_paths(context) == 1
            : trust(context, library, options->authorities, options->authorities_count, false, NULL, 0);
        if (!good) return fail(context, "ca", text, size), NULL;
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    } else {
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    }
    return context;
}

static EVP_PKEY *read_key(OSSL_LIB_CTX *library, const char *pem, size_t count) {
    BIO *bio = count > INT32_MAX ? NULL : BIO_new_mem_buf(pem, (int)count);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey_ex(bio, NULL, no_password, NULL, library, NULL);
    BIO_free(bio);
    return key;
}

static bool explain(const char *what, char *text, size_t size) {
    char reason[256];
    describe(reason, sizeof reason);
    snprintf(text, size, "%s: %s", what, reason);
    clear_errors();
    return false;
}

bool copenssl_use(
    SSL_CTX *context, OSSL_LIB_CTX *library, const char *chain, size_t chain_count, const char *key, size_t key_count,
    const uint8_t *staple_bytes, size_t staple_count, char *text, size_t size) {
    clear_errors();
    STACK_OF(X509) *all = read_certificates(library, chain, chain_count);
    if (all == NULL || sk_X509_num(all) == 0 || ERR_peek_error() != 0) {
        free_certificates(all);
        return explain("certificate", text, size);
    }
    EVP_PKEY *private_key = read_key(library, key, key_count);
    if (private_key == NULL) {
        free_certificates(all);
        return explain("key", text, size);
    }
    X509 *leaf = sk_X509_shift(all);
    bool good = SSL_CTX_use_cert_and_key(context, leaf, private_key, all, 1) == 1;
    if (good && staple_count > 0) {
        staple *one = malloc(sizeof *one + staple_count);
        good = one != NULL;
        if (good) {
            memcpy(one->bytes, staple_bytes, staple_count);
            one->begins = one->ends = 0;
            (void)copenssl_staple_times(staple_bytes, staple_count, &one->begins, &one->ends);
            one->count = staple_count;
            one->certificate = leaf;
            X509_up_ref(leaf);
            one->next = SSL_CTX_get_ex_data(context, staples_index);
            SSL_CTX_set_ex_data(context, staples_index, one);
        }
    }
    X509_free(leaf);
    EVP_PKEY_free(private_key);
    free_certificates(all);
    return good ? true : explain("certificate and key", text, size);
}

SSL_SESSION *copenssl_take_session(SSL *ssl) {
    SSL_SESSION *session = SSL_get1_session(ssl);
    if (session != NULL && SSL_SESSION_is_resumable(session)) return session;
    SSL_SESSION_free(session);
    return NULL;
}

void copenssl_offer_session(SSL *ssl, SSL_SESSION *session) { (void)SSL_set_session(ssl, session); }
void copenssl_session_free(SSL_SESSION *session) { SSL_SESSION_free(session); }

// Certificates as files hold them

static bool seconds_of(const ASN1_TIME *time, int64_t *seconds) {
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0, rest = 0;
    bool good = epoch != NULL && time != NULL && ASN1_TIME_diff(&days, &rest, epoch, time) == 1;
    ASN1_TIME_free(epoch);
    if (good) *seconds = (int64_t)days * 86400 + rest;
    return good;
}

static void add_name(copenssl_certificate *certificate, size_t *used, const char *bytes, size_t count) {
    if (*used + count + 2 > sizeof certificate->names) return;
    if (*used > 0) certificate->names[(*used)++] = '\n';
    for (size_t at = 0; at < count; at++) {
        char byte = bytes[at];
        certificate->names[(*used)++] = byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
    }
    certificate->names[*used] = 0;
}

static void read_names(X509 *leaf, copenssl_certificate *certificate) {
    size_t used = 0;
    certificate->names[0] = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    int count = names == NULL ? 0 : sk_GENERAL_NAME_num(names);
    for (int at = 0; at < count; at++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, at);
        if (name->type == GEN_DNS) {
            const char *bytes = (const char *)ASN1_STRING_get0_data(name->d.dNSName);
            size_t length = (size_t)ASN1_STRING_length(name->d.dNSName);
            // A name with NUL in it reads differently to whom it is shown.
            if (memchr(bytes, 0, length) != NULL || memchr(bytes, '\n', length) != NULL || length == 0) continue;
            add_name(certificate, &used, bytes, length);
        } else if (name->type == GEN_IPADD) {
            char *text = NULL;
            const unsigned char *bytes = ASN1_STRING_get0_data(name->d.iPAddress);
            char buffer[64];
            if (ASN1_STRING_length(name->d.iPAddress) == 4) {
                snprintf(buffer, sizeof buffer, "%d.%d.%d.%d", bytes[0], bytes[1], bytes[2], bytes[3]);
                text = buffer;
            } else if (ASN1_STRING_length(name->d.iPAddress) == 16 && inet_ntop(AF_INET6, bytes, buffer, sizeof buffer)) {
                text = buffer;
            }
            if (text != NULL) add_name(certificate, &used, text, strlen(text));
        }
    }
    GENERAL_NAMES_free(names);
    if (count > 0) return;
    // Certificates without subjectAltName: the common name, as old clients read them.
    char common[256];
    int length = X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, common, sizeof common);
    if (length > 0 && strlen(common) == (size_t)length) add_name(certificate, &used, common, (size_t)length);
}

bool copenssl_inspect(
    const char *chain, size_t chain_count, const char *key, size_t key_count, copenssl_certificate *certificate, char *text,
    size_t size) {
    clear_errors();
    memset(certificate, 0, sizeof *certificate);
    STACK_OF(X509) *all = read_certificates(NULL, chain, chain_count);
    if (all == NULL || sk_X509_num(all) == 0 || ERR_peek_error() != 0) {
        free_certificates(all);
        return explain("is no PEM certificate", text, size);
    }
    X509 *leaf = sk_X509_value(all, 0);
    bool good = seconds_of(X509_get0_notBefore(leaf), &certificate->not_before)
        && seconds_of(X509_get0_notAfter(leaf), &certificate->not_after);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    good = good && X509_digest(leaf, EVP_sha256(), digest, &length) == 1;
    if (!good) {
        free_certificates(all);
        return explain("certificate", text, size);
    }
    for (unsigned int at = 0; at < length && at < 32; at++)
        snprintf(certificate->fingerprint + 2 * at, 3, "%02x", digest[at]);
    EVP_PKEY *public_key = X509_get0_pubkey(leaf);
    unsigned char *encoded = NULL;
    int encoded_count = i2d_PUBKEY(public_key, &encoded);
    if (encoded_count > 0) (void)copenssl_digest(encoded, (size_t)encoded_count, certificate->public_key);
    OPENSSL_free(encoded);
    const char *type = public_key == NULL ? NULL : EVP_PKEY_get0_type_name(public_key);
    snprintf(
        certificate->key_type, sizeof certificate->key_type, "%s %d", type == NULL ? "unknown" : type,
        public_key == NULL ? 0 : EVP_PKEY_get_bits(public_key));
    read_names(leaf, certificate);
    if (key_count > 0) {
        EVP_PKEY *private_key = read_key(NULL, key, key_count);
        if (private_key == NULL) {
            free_certificates(all);
            return explain("is no PEM key without a password", text, size);
        }
        good = X509_check_private_key(leaf, private_key) == 1;
        EVP_PKEY_free(private_key);
        if (!good) {
            free_certificates(all);
            clear_errors();
            snprintf(text, size, "is not the key of the certificate");
            return false;
        }
    }
    free_certificates(all);
    return true;
}

const char *copenssl_names(const copenssl_certificate *certificate) { return certificate->names; }

bool copenssl_staple_times(const uint8_t *bytes, size_t count, int64_t *begins, int64_t *ends) {
    const unsigned char *at = bytes;
    OCSP_RESPONSE *response = count > INT32_MAX ? NULL : d2i_OCSP_RESPONSE(NULL, &at, (long)count);
    OCSP_BASICRESP *basic = NULL;
    if (response != NULL && OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
        basic = OCSP_response_get1_basic(response);
    OCSP_SINGLERESP *single = basic == NULL ? NULL : OCSP_resp_get0(basic, 0);
    bool good = false;
    if (single != NULL) {
        ASN1_GENERALIZEDTIME *revoked = NULL, *from = NULL, *until = NULL;
        int reason = 0;
        (void)OCSP_single_get0_status(single, &reason, &revoked, &from, &until);
        good = seconds_of(from, begins);
        // Without nextUpdate newer answers are always to be had (RFC 6960 4.2.2.1): never served.
        good = good && until != NULL && seconds_of(until, ends);
    }
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    clear_errors();
    return good;
}

bool copenssl_revoked_ends(const char *pem, size_t count, int64_t *ends) {
    clear_errors();
    BIO *bio = count > INT32_MAX ? NULL : BIO_new_mem_buf(pem, (int)count);
    bool found = false;
    *ends = INT64_MAX;
    while (bio != NULL) {
        X509_CRL *list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
        if (list == NULL) break;
        found = true;
        int64_t end = 0;
        const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);
        if (next != NULL && seconds_of(next, &end) && end < *ends) *ends = end;
        X509_CRL_free(list);
    }
    BIO_free(bio);
    clear_errors();
    return found;
}

size_t copenssl_count_certificates(const char *pem, size_t count) {
    clear_errors();
    STACK_OF(X509) *all = read_certificates(NULL, pem, count);
    size_t found = all == NULL || ERR_peek_error() != 0 ? 0 : (size_t)sk_X509_num(all);
    free_certificates(all);
    clear_errors();
    return found;
}

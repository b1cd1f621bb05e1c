import RoutesFile
import Testing
import Traffic

@Suite("Rejected configurations")
struct RejectedTests {
    /// One fault: a document that has only this one, where it is, and words of what is said about it.
    struct Case: Sendable, CustomTestStringConvertible {
        var document: Document
        var path: String
        var fragment: String

        var testDescription: String { "\(self.path): \(self.fragment)" }

        static func top(_ members: String, _ path: String, _ fragment: String) -> Case {
            Case(document: Document(top: members + ","), path: path, fragment: fragment)
        }
        static func listeners(_ text: String, _ path: String, _ fragment: String) -> Case {
            Case(document: Document(listeners: text), path: "$.listeners" + path, fragment: fragment)
        }
        /// Members of the upstream, after its endpoints.
        static func core(_ members: String, _ path: String, _ fragment: String) -> Case {
            Case(
                document: Document(core: #""endpoints": ["127.0.0.1:3300"], "# + members),
                path: "$.upstreams.core" + path, fragment: fragment)
        }
        static func endpoints(_ text: String, _ path: String, _ fragment: String) -> Case {
            Case(
                document: Document(core: "\"endpoints\": \(text)"), path: "$.upstreams.core.endpoints" + path,
                fragment: fragment)
        }
        /// Members of the route, after its split.
        static func route(_ members: String, _ path: String, _ fragment: String) -> Case {
            Case(
                document: Document(route: #""split": { "core": 1 }, "# + members), path: "$.routes[0]" + path,
                fragment: fragment)
        }
        static func action(_ members: String, _ path: String, _ fragment: String) -> Case {
            Case(document: Document(route: members), path: "$.routes[0]" + path, fragment: fragment)
        }
    }

    /// One listener with this `proxyProtocol`.
    private static func proxied(_ text: String) -> String {
        #"[{ "name": "public", "address": "127.0.0.1:8080", "proxyProtocol": "# + text + " }]"
    }

    static let process: [Case] = [
        .top(#""listners": 1"#, "$.listners", #"unknown key; did you mean "listeners"?"#),
        .top(#""zzzzzzzz": 1"#, "$.zzzzzzzz", "unknown key"),
        .top(#""a b": 1"#, #"$["a b"]"#, "unknown key"),
        .top(#""workers": 1, "workers": 2"#, "$.workers", "already given in line 1"),
        .top(#""$schema": 5"#, "$.$schema", "expected a string, found number 5"),
        .top(#""limits": { "tls": { "handshakes": 0 } }"#, "$.limits.tls.handshakes", "an integer from 1"),
        .top(#""limits": { "tls": { "handshake": 1 } }"#, "$.limits.tls.handshake", #"did you mean "handshakes"?"#),
        .top(#""admin": { "tls": { "certificate": "/a" } }"#, "$.admin.tls", #"the key "key" is missing"#),
        .top(#""admin": { "tls": true }"#, "$.admin.tls", "expected an object"),
        .top(#""workers": 0"#, "$.workers", "an integer from 1 to 1024, found number 0"),
        .top(#""workers": 1.5"#, "$.workers", "found number 1.5"),
        .top(#""workers": 99999999999999999999"#, "$.workers", "found number 99999999999999999999"),
        .top(#""workers": "2""#, "$.workers", #"found string "2""#),
        .top(#""admin": true"#, "$.admin", "expected an object or false, found true"),
        .top(#""admin": { "address": "localhost:9901" }"#, "$.admin.address", "expected an address"),
        .top(#""admin": { "observe": "9902" }"#, "$.admin.observe", "expected an address"),
        .top(#""admin": { "observe": false }"#, "$.admin.observe", "found false"),
        .top(#""admin": { "observe": "127.0.0.1:8080" }"#, "$.admin.observe", #"taken by the listener "public""#),
        .top(#""admin": { "observe": "0.0.0.0:9901" }"#, "$.admin.observe", "taken by $.admin.address"),
        .top(#""admin": { "address": "0.0.0.0:9901" }"#, "$.admin.address", "needs $.admin.tokens"),
        .top(#""admin": { "tokens": [] }"#, "$.admin.tokens", "at least one token"),
        .top(#""admin": { "tokens": false, "tokensFile": "x" }"#, "$.admin.tokens", "there is $.admin.tokensFile"),
        .top(
            #""admin": { "tokens": [{ "name": "a", "role": "viewer" }] }"#, "$.admin.tokens[0]", #""sha256" is missing"#
        ),
        .top(
            #""admin": { "tokens": [{ "name": "a", "role": "root", "sha256": "\#(String(repeating: "0", count: 64))" }] }"#,
            "$.admin.tokens[0].role",
            #"expected "viewer" or "operator""#),
        .top(#""admin": { "metricsToken": "secret" }"#, "$.admin.metricsToken", "64 hexadecimal digits"),
        .top(#""admin": { "hosts": "a" }"#, "$.admin.hosts", "expected a list of host names"),
        .top(#""admin": { "hosts": ["a:80"] }"#, "$.admin.hosts[0]", #"without its port; write "a""#),
        .top(#""admin": { "hosts": ["*.a"] }"#, "$.admin.hosts[0]", "expected a host name"),
        .top(#""admin": { "address": "127.0.0.1:8080" }"#, "$.admin.address", #"taken by the listener "public""#),
        .top(#""accessLog": false"#, "$.accessLog", "expected an object, found false"),
        .top(#""accessLog": { "path": "" }"#, "$.accessLog.path", "expected a path"),
        .top(#""accessLog": { "enable": false }"#, "$.accessLog.enable", #"did you mean "enabled"?"#),
        .top(#""accessLog": { "path": "a\u0000b" }"#, "$.accessLog.path", "expected a path"),
        .top(#""batching": {}"#, "$.batching", #"the key "enabled" is missing"#),
        .top(#""batching": { "enabled": 1 }"#, "$.batching.enabled", "expected true or false"),
        .top(#""operationalLog": {}"#, "$.operationalLog", #"the key "level" is missing"#),
        .top(#""operationalLog": { "level": "warn" }"#, "$.operationalLog.level", #"found string "warn""#),
        .top(#""operationalLog": { "level": "infos" }"#, "$.operationalLog.level", #"did you mean "info"?"#),
        .top(#""tracing": true"#, "$.tracing", "expected an object, found true"),
        .top(#""tracing": {}"#, "$.tracing", #"the key "endpoint" is missing"#),
        .top(#""tracing": { "endpoint": "collector:4318/v1" }"#, "$.tracing.endpoint", "expected a URL such as"),
        .top(#""tracing": { "endpoint": "ftp://a/" }"#, "$.tracing.endpoint", "expected a URL such as"),
        .top(#""tracing": { "endpoint": "http://a" }"#, "$.tracing.endpoint", "host, port and path alone"),
        .top(#""tracing": { "endpoint": "http://a:0/" }"#, "$.tracing.endpoint", "host, port and path alone"),
        .top(#""tracing": { "endpoint": "http://a/?k=v" }"#, "$.tracing.endpoint", "host, port and path alone"),
        .top(#""tracing": { "endpoint": "http://a/#b" }"#, "$.tracing.endpoint", "host, port and path alone"),
        .top(#""tracing": { "endpoint": "http://a/b c" }"#, "$.tracing.endpoint", "host, port and path alone"),
        .top(#""tracing": { "endpoint": "http://u:p@a/" }"#, "$.tracing.endpoint", "without user and password"),
        .top(#""tracing": { "endpoint": "https://a/", "caFile": "" }"#, "$.tracing.caFile", "expected"),
        .top(#""tracing": { "endpoint": "http://a/", "caFile": "/a" }"#, "$.tracing.caFile", "the endpoint is http"),
        .top(#""tracing": { "endpoint": "http://a/", "sample": 1.01 }"#, "$.tracing.sample", "from 0 to 1"),
        .top(#""tracing": { "endpoint": "http://a/", "sample": -0.5 }"#, "$.tracing.sample", "from 0 to 1"),
        .top(#""tracing": { "endpoint": "http://a/", "sample": "1" }"#, "$.tracing.sample", "from 0 to 1"),
        .top(#""tracing": { "endpoint": "http://a/", "service": "" }"#, "$.tracing.service", "1 to 256 bytes"),
        .top(#""tracing": { "endpoint": "http://a/", "services": "" }"#, "$.tracing.services", #"mean "service"?"#),
        .top(#""state": {}"#, "$.state", #"the key "path" is missing"#),
        .top(#""state": { "path": "" }"#, "$.state.path", "1 to 4000 bytes"),
        .top(#""cluster": { "name": "x" }"#, "$.cluster", #"expected "etcd" or "kubernetes""#),
        .top(#""cluster": { "kubernetes": {} }"#, "$.cluster", #"the key "name" is missing"#),
        .top(#""cluster": { "name": "X", "kubernetes": {} }"#, "$.cluster.name", "small letters"),
        .top(
            #""cluster": { "name": "x", "kubernetes": {}, "etcd": { "endpoints": ["http://a:1"] } }"#, "$.cluster",
            "not both"),
        .top(#""cluster": { "name": "x", "etcd": {} }"#, "$.cluster.etcd", #"the key "endpoints" is missing"#),
        .top(
            #""cluster": { "name": "x", "etcd": { "endpoints": ["a:1"] } }"#, "$.cluster.etcd.endpoints[0]",
            "a URL such as"),
        .top(
            #""cluster": { "name": "x", "etcd": { "endpoints": ["http://a:1"], "user": "u" } }"#, "$.cluster.etcd",
            "go together"),
        .top(
            #""cluster": { "name": "x", "kubernetes": { "namespace": "a/b" } }"#, "$.cluster.kubernetes.namespace",
            "namespace"),
        .top(#""guard": { "available": 101 }"#, "$.guard.available", "an integer from 0 to 100"),
        .top(#""guard": { "headroom": 0 }"#, "$.guard.headroom", "an integer from 1 to 100"),
        .top(#""guard": { "minimun": 0 }"#, "$.guard.minimun", #"did you mean "minimum"?"#),
        .top(#""guard": true"#, "$.guard", "expected an object"),
        .top(#""takeover": {}"#, "$.takeover", #"the key "path" is missing"#),
        .top(
            #""takeover": { "path": "\#(String(repeating: "x", count: 108))" }"#, "$.takeover.path", "1 to 107 bytes"),
        .top(#""trustedProxies": "::1""#, "$.trustedProxies", "expected a list"),
        .top(#""trustedProxies": ["::1", "10.0.0.0/33"]"#, "$.trustedProxies[1]", "expected an address or block"),
        .top(#""forwarding": { "via": "a b" }"#, "$.forwarding.via", "expected a name for Via"),
        .top(#""forwarding": { "forwarded": "yes" }"#, "$.forwarding.forwarded", "expected true or false"),
        .top(#""forwarding": { "underscores": "strip" }"#, "$.forwarding.underscores", #""drop", "keep" or "refuse""#),
        .top(#""forwarding": { "maxPasses": 101 }"#, "$.forwarding.maxPasses", "an integer from 0 to 100"),
        .top(#""buffering": { "request": "2MiB" }"#, "$.buffering.request", "from 0 to 1048576 bytes"),
        .top(#""buffering": "64KiB""#, "$.buffering", "expected an object"),
        .top(#""limits": { "requestBodyRate": "2GiB" }"#, "$.limits.requestBodyRate", "from 0 to 1073741824 bytes"),
        .top(#""limits": { "buffered": 0 }"#, "$.limits.buffered", "from 1048576 to"),
        .top(#""limits": { "interimResponses": 1001 }"#, "$.limits.interimResponses", "an integer from 0 to 1000"),
        .top(#""timeouts": { "linger": "0s" }"#, "$.timeouts.linger", "from 1ms to 720h"),
        .top(#""timeouts": { "tunnelHalfClosed": 1 }"#, "$.timeouts.tunnelHalfClosed", "expected a duration"),
        .top(#""errors": { "reasons": true }"#, "$.errors.reasons", #"did you mean "reason"?"#),
        .top(
            #""timeouts": { "connect": 5 }"#, "$.timeouts.connect",
            #"a duration such as "2s" or "200ms", found number 5"#),
        .top(#""timeouts": { "connect": "0s" }"#, "$.timeouts.connect", "from 1ms to 720h"),
        .top(#""timeouts": { "connect": "721h" }"#, "$.timeouts.connect", "from 1ms to 720h"),
        .top(#""timeouts": { "connect": "99999999999999999999h" }"#, "$.timeouts.connect", "expected a duration"),
        .top(#""timeouts": { "connect": "9999999999999999h" }"#, "$.timeouts.connect", "expected a duration"),
        .top(#""timeouts": { "connect": "2 s" }"#, "$.timeouts.connect", "expected a duration"),
        .top(#""timeouts": { "connect": "-2s" }"#, "$.timeouts.connect", "expected a duration"),
        .top(#""timeouts": { "connect": "s" }"#, "$.timeouts.connect", "expected a duration"),
        .top(#""timeouts": { "connect": "1.s" }"#, "$.timeouts.connect", "expected a duration"),
        .top(#""timeouts": { "connect": "1.0005s" }"#, "$.timeouts.connect", "expected a duration"),
        .top(#""timeouts": { "connect": "2d" }"#, "$.timeouts.connect", "expected a duration"),
        .top(#""timeouts": { "conect": "2s" }"#, "$.timeouts.conect", #"did you mean "connect"?"#),
        .top(#""timeouts": []"#, "$.timeouts", "expected an object, found a list"),
        .top(#""limits": { "body": "64kb" }"#, "$.limits.body", "expected a size"),
        .top(#""limits": { "body": -1 }"#, "$.limits.body", "expected a size"),
        .top(#""limits": { "body": "99999999TiB" }"#, "$.limits.body", "expected a size"),
        .top(#""limits": { "body": "2000000TiB" }"#, "$.limits.body", "expected a size from 0"),
        .top(#""limits": { "requestLine": 63 }"#, "$.limits.requestLine", "from 64 to 1048576 bytes"),
        .top(#""limits": { "headerBytes": "1GiB" }"#, "$.limits.headerBytes", "from 256 to 1048576 bytes"),
        .top(#""limits": { "headerCount": 0 }"#, "$.limits.headerCount", "an integer from 1 to 10000"),
        .top(#""limits": { "connections": "many" }"#, "$.limits.connections", "expected an integer"),
        .top(#""limits": { "trailerBytes": 16385 }"#, "$.limits.trailerBytes", "from 0 to 16384 bytes"),
        .top(
            #""admin": { "address": "0.0.0.0:8080", "tokens": false }"#, "$.admin.address",
            #"taken by the listener "public""#),
        .listeners("[]", "", "expected at least one"),
        .listeners("{}", "", "expected a list of listeners, found an object"),
        .listeners("[5]", "[0]", "expected an object"),
        .listeners(
            #"[{ "name": "public", "address": "127.0.0.1:8080", "allow": "10.0.0.0/8" }]"#, "[0].allow",
            "expected a list of addresses"),
        .listeners(
            #"[{ "name": "public", "address": "127.0.0.1:8080", "deny": ["10.0.0.300"] }]"#, "[0].deny[0]",
            "expected an address or block"),
        .listeners(Self.proxied("{}"), "[0].proxyProtocol", #"the key "from" is missing"#),
        .listeners(Self.proxied(#"{ "from": [] }"#), "[0].proxyProtocol.from", "at least one"),
        .listeners(Self.proxied(#"{ "from": ["10.0.0.0/40"] }"#), "[0].proxyProtocol.from[0]", "expected an address"),
        .listeners(
            Self.proxied(#"{ "from": ["::1"], "versions": [3] }"#), "[0].proxyProtocol.versions[0]",
            "an integer from 1 to 2"),
        .listeners(
            Self.proxied(#"{ "from": ["::1"], "versions": [2, 2] }"#), "[0].proxyProtocol.versions[1]", "already given"),
        .listeners(Self.proxied(#"{ "from": ["::1"], "versions": [] }"#), "[0].proxyProtocol.versions", "at least one"),
        .listeners(
            Self.proxied(#"{ "form": ["::1"], "from": ["::1"] }"#), "[0].proxyProtocol.form", #"did you mean "from"?"#),
        .listeners(#"[{ "address": "127.0.0.1:1" }]"#, "[0]", #"the key "name" is missing"#),
        .listeners(#"[{ "name": "a" }]"#, "[0]", #"the key "address" is missing"#),
        .listeners(#"[{ "name": "a b", "address": "127.0.0.1:1" }]"#, "[0].name", "is not a name"),
        .listeners(#"[{ "name": "", "address": "127.0.0.1:1" }]"#, "[0].name", "is not a name"),
        .listeners(#"[{ "name": "a", "address": "127.0.0.1" }]"#, "[0].address", "expected an address"),
        .listeners(#"[{ "name": "a", "address": "127.0.0.1:65536" }]"#, "[0].address", "expected an address"),
        .listeners(
            #"[{ "name": "a", "address": "127.0.0.1:1" }, { "name": "a", "address": "127.0.0.1:2" }]"#, "[1].name",
            "already taken by another listener"),
        .listeners(
            #"[{ "name": "a", "address": "127.0.0.1:1" }, { "name": "b", "address": "127.0.0.1:1" }]"#, "[1].address",
            "already taken by another listener"),
        .listeners(
            #"[{ "name": "a", "address": "0.0.0.0:1" }, { "name": "b", "address": "127.0.0.1:1" }]"#, "[1].address",
            #"already taken by another listener, "a" on 0.0.0.0:1"#),
        .listeners(
            #"[{ "name": "a", "address": "127.0.0.1:1" }, { "name": "b", "address": "0.0.0.0:1" }]"#, "[1].address",
            "already taken by another listener"),
        .listeners(
            #"[{ "name": "a", "address": "[::]:1" }, { "name": "b", "address": "10.0.0.1:1" }]"#, "[1].address",
            #"already taken by another listener, "a" on [::]:1"#),
        .listeners(
            #"[{ "name": "a", "address": "[fd00::1]:1" }, { "name": "b", "address": "[::]:1" }]"#, "[1].address",
            "already taken by another listener"),
    ]

    static let upstreams: [Case] = [
        Case(document: Document(upstreams: "[]"), path: "$.upstreams", fragment: "an object of upstreams by name"),
        Case(document: Document(core: ""), path: "$.upstreams.core", fragment: #"expected "endpoints" or "discovery""#),
        Case(
            document: Document(
                upstreams: #"{ "a b": { "endpoints": ["127.0.0.1:1"] } }"#, route: #""redirect": { "path": "/" }"#),
            path: #"$.upstreams["a b"]"#, fragment: "is not a name"),
        .endpoints("[]", "", "expected at least one element"),
        .endpoints(#""127.0.0.1:1""#, "", "expected a list of endpoints"),
        .endpoints(#"[1]"#, "[0]", "expected an address"),
        .endpoints(#"["127.0.0.1"]"#, "[0]", "expected an address"),
        .endpoints(#"["127.0.0.1:0"]"#, "[0]", "port from 1 to 65535"),
        .endpoints(#"["127.0.0.256:80"]"#, "[0]", "expected an address"),
        .endpoints(#"["core:"]"#, "[0]", "expected an address"),
        .endpoints(#"["core:+80"]"#, "[0]", "expected an address"),
        .endpoints(#"["co re:80"]"#, "[0]", "expected an address"),
        .endpoints(#"["[::1:80"]"#, "[0]", "expected an address"),
        .endpoints(#"["http://core:80"]"#, "[0]", "expected an address"),
        .endpoints(#"["127.0.0.1:8080"]"#, "[0]", #"the listener "public" of this balancer itself"#),
        .endpoints(#"["127.0.0.1:1", "127.0.0.1:1"]"#, "[1]", "already given"),
        .endpoints(#"["core:1", "CORE:1"]"#, "[1]", #"already given as "core:1""#),
        .core(#""healthcheck": {}"#, ".healthcheck", "unknown key"),
        .core(
            #""balance": "random""#, ".balance",
            #"expected "round-robin" or "least-outstanding", found string "random""#),
        .core(#""balance": "round_robin""#, ".balance", #"did you mean "round-robin"?"#),
        .core(#""balance": 1"#, ".balance", "found number 1"),
        .core(#""balance": {}"#, ".balance", #"the key "hash" is missing"#),
        .core(#""balance": { "hash": { "by": "url" } }"#, ".balance.hash.by", #"found string "url""#),
        .core(#""health": true"#, ".health", "expected an object, found true"),
        .core(#""health": { "path": "healthcheck" }"#, ".health.path", "expected a path"),
        .core(#""health": { "path": "/a b" }"#, ".health.path", "expected a path"),
        .core(#""health": { "method": "get" }"#, ".health.method", #"did you mean "GET"?"#),
        .core(#""health": { "method": "G T" }"#, ".health.method", "expected a method"),
        .core(#""health": { "host": "a b" }"#, ".health.host", "expected a host"),
        .core(#""health": { "host": "a:0" }"#, ".health.host", "expected a host"),
        .core(#""health": { "interval": "1ms" }"#, ".health.interval", "from 10ms to 24h"),
        .core(#""health": { "timeout": "3s" }"#, ".health.timeout", "is more than the interval, 2s"),
        .core(#""health": { "rise": 0 }"#, ".health.rise", "an integer from 1 to 100"),
        .core(#""health": { "fall": 0 }"#, ".health.fall", "an integer from 1 to 100"),
        .core(#""health": { "expect": { "status": 99 } }"#, ".health.expect.status", "expected a status"),
        .core(#""health": { "expect": { "status": [] } }"#, ".health.expect.status", "at least one"),
        .core(#""health": { "expect": { "status": [200, "6xx"] } }"#, ".health.expect.status[1]", "expected a status"),
        .core(#""health": { "expect": { "status": "399-200" } }"#, ".health.expect.status", "expected a status"),
        .core(#""health": { "expect": { "status": "200-300-400" } }"#, ".health.expect.status", "expected a status"),
        .core(#""health": { "expect": { "status": null } }"#, ".health.expect.status", "found null"),
        .core(#""health": { "expect": { "body": "" } }"#, ".health.expect.body", "1 to 4096 bytes"),
        .core(#""health": { "method": "HEAD", "expect": { "body": "x" } }"#, ".health.expect.body", "HEAD has no body"),
        .core(#""health": { "grpc": "" }"#, ".health", #""grpc" needs "protocol""#),
        .core(
            #""protocol": "http2", "health": { "grpc": "", "path": "/x" }"#, ".health.path", #"no meaning with "grpc""#),
        .core(#""passive": false"#, ".passive", "expected an object"),
        .core(#""passive": { "failureRate": 101 }"#, ".passive.failureRate", "an integer from 1 to 100"),
        .core(#""passive": { "maxEjection": "1s" }"#, ".passive.maxEjection", "less than baseEjection, 30s"),
        .core(#""slowStart": "2h""#, ".slowStart", "from 0s to 1h"),
        .core(#""maxConnections": -1"#, ".maxConnections", "expected an integer"),
        .core(#""queue": 5"#, ".queue", "expected an object, found number 5"),
        .core(#""queue": { "lenght": 5 }"#, ".queue.lenght", #"did you mean "length"?"#),
        .core(#""retry": { "attempts": 6 }"#, ".retry.attempts", "an integer from 0 to 5"),
        .core(#""sendProxyProtocol": 3"#, ".sendProxyProtocol", "an integer from 1 to 2"),
        .core(#""sendProxyProtocol": "2""#, ".sendProxyProtocol", "an integer from 1 to 2"),
        .core(#""protocol": "h2""#, ".protocol", "http1"),
        .core(#""protocol": "auto""#, ".protocol", #"expected "tls""#),
        .core(#""protocol": "http2", "sendProxyProtocol": 1"#, ".protocol", #"expected "http1""#),
        .core(#""idleConnections": 1e3"#, ".idleConnections", "found number 1e3"),
    ]

    static let routes: [Case] = [
        Case(document: Document(routes: "[]"), path: "$.routes", fragment: "expected at least one"),
        Case(document: Document(routes: "[null]"), path: "$.routes[0]", fragment: "expected an object, found null"),
        Case(
            document: Document(
                routes: #"[{ "name": "a", "split": { "core": 1 } }, { "name": "a", "split": { "core": 1 } }]"#),
            path: "$.routes[1].name", fragment: #"the name "a" is already taken by $.routes[0]"#),
        Case(
            document: Document(routes: #"[{ "name": "route-2", "split": { "core": 1 } }, { "split": { "core": 1 } }]"#),
            path: "$.routes[1]", fragment: #"the name "route-2" is already taken"#),
        .action(#""name": "a""#, "", #"expected "split", "redirect" or "respond""#),
        .action(#""split": { "core": 1 }, "redirect": { "path": "/" }"#, ".redirect", "not both"),
        .action(#""split": { "core": 1 }, "respond": {}"#, ".respond", "not both"),
        .action(#""redirect": { "path": "/" }, "respond": {}"#, ".respond", "not both"),
        .action(#""respond": 404"#, ".respond", "expected an object"),
        .action(#""respond": { "status": 200 }"#, ".respond.status", "403, 404, 410 or 503"),
        .action(#""respond": { "code": 404 }"#, ".respond.code", "unknown key"),
        .action(#""respond": {}, "sticky": { "by": "client-address" }"#, ".sticky", "a route that answers by itself"),
        .action(#""respond": {}, "buffering": {}"#, ".buffering", "a route that answers by itself"),
        .action(#""split": {}"#, ".split", "at least one upstream"),
        .action(#""split": ["core"]"#, ".split", "an object of weights by upstream"),
        .action(#""split": { "cor": 1 }"#, ".split.cor", #"unknown upstream; did you mean "core"?"#),
        .action(#""split": { "elsewhere": 1 }"#, ".split.elsewhere", "unknown upstream"),
        .action(#""split": { "core": 1000001 }"#, ".split.core", "an integer from 0 to 1000000"),
        .action(#""split": { "core": -1 }"#, ".split.core", "an integer from 0 to 1000000"),
        .action(#""split": { "core": 0.5 }"#, ".split.core", "an integer from 0 to 1000000"),
        .action(#""split": { "core": "90%" }"#, ".split.core", "an integer from 0 to 1000000"),
        .action(#""redirect": "/x""#, ".redirect", "expected an object"),
        .action(#""redirect": {}"#, ".redirect", "would redirect to where the request came from"),
        .action(#""redirect": { "status": 302 }"#, ".redirect", "would redirect to where the request came from"),
        .action(#""redirect": { "path": "/", "status": 200 }"#, ".redirect.status", "301, 302, 303, 307 or 308"),
        .action(#""redirect": { "scheme": "ftp" }"#, ".redirect.scheme", #"expected "http" or "https""#),
        .action(#""redirect": { "host": "a/b" }"#, ".redirect.host", "expected a host"),
        .action(#""redirect": { "path": "x" }"#, ".redirect.path", #"begins with "/""#),
        .action(
            #""redirect": { "path": "/" }, "failover": false"#, ".failover", "no meaning on a route that redirects"),
        .action(#""redirect": { "path": "/" }, "reserve": []"#, ".reserve", "no meaning on a route that redirects"),
        .route(#""reserve": "core""#, ".reserve", "a list of the split's upstreams"),
        .route(#""reserve": ["cor"]"#, ".reserve[0]", #"did you mean "core"?"#),
        .route(#""reserve": ["core", "core"]"#, ".reserve[1]", "already given"),
        .route(#""name": "a/b""#, ".name", "is not a name"),
        .route(#""name": "\#(String(repeating: "x", count: 65))""#, ".name", "is not a name"),
        .route(#""matsch": {}"#, ".matsch", #"did you mean "match"?"#),
        .route(#""match": { "host": [] }"#, ".match.host", "at least one"),
        .route(#""match": { "host": "*" }"#, ".match.host", "left out"),
        .route(#""match": { "host": "a.*.b" }"#, ".match.host", "expected a host"),
        .route(#""match": { "host": "a..b" }"#, ".match.host", "expected a host"),
        .route(#""match": { "host": "a.example:80" }"#, ".match.host", #"without its port; write "a.example""#),
        .route(#""match": { "path": "api" }"#, ".match.path", #"begins with "/", found "api""#),
        .route(#""match": { "path": "/a?b" }"#, ".match.path", "no path of a request"),
        .route(#""match": { "path": "/é" }"#, ".match.path", "no path of a request"),
        .route(#""match": { "path": ["/a", null] }"#, ".match.path[1]", "expected a path"),
        .route(#""match": { "path": {} }"#, ".match.path", #"expected "exact" or "prefix""#),
        .route(#""match": { "path": { "exact": "/", "prefix": "/" } }"#, ".match.path", "not both"),
        .route(#""match": { "path": { "regex": "/", "exact": "/" } }"#, ".match.path.regex", "unknown key"),
        .route(#""match": { "method": "post" }"#, ".match.method", #"did you mean "POST"?"#),
        .route(#""match": { "method": ["GET", "CONNECT"] }"#, ".match.method[1]", "always refused"),
        .route(#""match": { "headers": { "X": false } }"#, ".match.headers.X", "or true for any value"),
        .route(#""match": { "headers": { "X": "a\nb" } }"#, ".match.headers.X", "expected a header value"),
        .route(#""match": { "headers": { "X Y": "1" } }"#, #".match.headers["X Y"]"#, "is not a header name"),
        .route(#""match": { "headers": { "X": "1", "x": "2" } }"#, ".match.headers.x", "already matched"),
        .route(#""sticky": "cookie""#, ".sticky", "expected an object"),
        .route(#""sticky": { "name": "a" }"#, ".sticky", #"the key "by" is missing"#),
        .route(#""sticky": { "by": "cookies", "name": "a" }"#, ".sticky.by", #"did you mean "cookie"?"#),
        .route(#""sticky": { "by": "cookie" }"#, ".sticky", #"the key "name" is missing"#),
        .route(#""sticky": { "by": "header", "name": "X Y" }"#, ".sticky.name", "expected a header name"),
        .route(#""sticky": { "by": "client-address", "name": "a" }"#, ".sticky.name", "has no meaning"),
        .route(#""failover": 0"#, ".failover", "expected true or false, found number 0"),
        .route(#""override": { "header": "Host" }"#, ".override.header", #"the key "host""#),
        .route(#""override": { "from": ["x"] }"#, ".override.from[0]", "expected an address or block"),
        .route(#""upgrade": "websocket""#, ".upgrade", "expected a list of protocols"),
        .route(#""upgrade": ["web socket"]"#, ".upgrade[0]", "expected a protocol"),
        .route(#""upgrade": ["H2C"]"#, ".upgrade[0]", "HTTP/2 is not tunnelled"),
        .route(#""rewrite": {}"#, ".rewrite", #"expected "strip" or "replace""#),
        .route(#""rewrite": { "strip": "a" }"#, ".rewrite.strip", #"begins with "/""#),
        .route(#""rewrite": { "replace": { "prefix": "/a" } }"#, ".rewrite.replace", #"the key "with" is missing"#),
        .route(#""rewrite": { "strip": "/a", "replace": { "prefix": "/a", "with": "/" } }"#, ".rewrite", "not both"),
        .route(
            #""match": { "path": ["/a", "/b"] }, "rewrite": { "strip": "/c" }"#, ".rewrite.strip",
            #"no path that the route matches begins with "/c""#),
        .route(
            #""match": { "path": "/a" }, "rewrite": { "strip": "/ab" }"#, ".rewrite.strip", "no path that the route"),
        .route(
            #""match": { "path": { "exact": "/a" } }, "rewrite": { "strip": "/a/b" }"#, ".rewrite.strip",
            "no path that the route"),
        .route(
            #""match": { "path": "/ab" }, "rewrite": { "replace": { "prefix": "/a", "with": "/z" } }"#,
            ".rewrite.replace.prefix", "no path that the route"),
        .route(#""host": "keeps""#, ".host", #"did you mean "keep"?"#),
        .route(#""host": { "literal": "a b" }"#, ".host.literal", "expected a host"),
        .route(#""host": null"#, ".host", "found null"),
        .route(#""requestHeaders": { "set": { "X": 1 } }"#, ".requestHeaders.set.X", "expected a header value"),
        .route(#""requestHeaders": { "set": { "X": "a\r\nY: b" } }"#, ".requestHeaders.set.X", "no control characters"),
        .route(#""requestHeaders": { "set": { "X": "a\u0000" } }"#, ".requestHeaders.set.X", "no control characters"),
        .route(#""requestHeaders": { "set": { "X": " a" } }"#, ".requestHeaders.set.X", "no white space around it"),
        .route(#""requestHeaders": { "set": { "X:": "a" } }"#, #".requestHeaders.set["X:"]"#, "is not a header name"),
        .route(#""requestHeaders": { "set": { "Host": "a" } }"#, ".requestHeaders.set.Host", #"the key "host""#),
        .route(#""requestHeaders": { "set": { "X": "a", "x": "b" } }"#, ".requestHeaders.set.x", "already set"),
        .route(
            #""requestHeaders": { "set": { "X": "a" }, "remove": ["x"] }"#, ".requestHeaders.remove[0]",
            "already set or removed"),
        .route(#""responseHeaders": { "add": {} }"#, ".responseHeaders.add", "unknown key"),
        .route(
            #""timeouts": { "keepAlive": "1s" }"#, ".timeouts.keepAlive", "cannot differ by route; set it in $.timeouts"
        ),
        .route(#""timeouts": { "conect": "1s" }"#, ".timeouts.conect", #"did you mean "connect"?"#),
        .route(
            #""limits": { "headerBytes": 1024 }"#, ".limits.headerBytes", "cannot differ by route; set it in $.limits"),
        .route(#""limits": { "tls": {} }"#, ".limits.tls", "cannot differ by route; set it in $.limits"),
        .route(#""timeouts": { "linger": "1s" }"#, ".timeouts.linger", "cannot differ by route; set it in $.timeouts"),
        .route(#""limits": { "buffered": "1GiB" }"#, ".limits.buffered", "cannot differ by route; set it in $.limits"),
        .route(#""buffering": { "response": 1 }"#, ".buffering.response", "unknown key"),
        .route(#""buffering": { "request": -1 }"#, ".buffering.request", "expected a size"),
        .route(#""match": { "listener": "publik" }"#, ".match.listener", #"unknown listener; did you mean "public"?"#),
        .route(#""match": { "listener": ["public", "elsewhere"] }"#, ".match.listener[1]", "unknown listener"),
        .route(#""match": { "listener": [] }"#, ".match.listener", "at least one"),
        .route(#""match": { "listener": 1 }"#, ".match.listener", "expected a name"),
        .route(#""match": { "ignoreCase": "yes" }"#, ".match.ignoreCase", "expected true or false"),
        .route(#""match": { "normalize": true }"#, ".match.normalize", #"did you mean "normalise"?"#),
        .route(#""limits": { "body": "1.5B" }"#, ".limits.body", "expected a size"),
    ]

    @Test(
        "One fault gives one problem, where it is and what it is",
        arguments: process + upstreams + routes + policies + http2)
    func oneFault(fault: Case) throws {
        let problems = fault.document.problems()
        #expect(problems.map(\.path) == [fault.path], "\(problems)")
        #expect(problems.first?.message.contains(fault.fragment) == true, "\(problems)")
        #expect(problems.first?.line != nil)
    }

    @Test(
        "Fields that frame the message or belong to the connection are nobody's to edit",
        arguments: [
            "Connection", "Content-Length", "Expect", "HTTP2-Settings", "Keep-Alive", "Proxy-Connection", "TE",
            "trailer", "TRANSFER-ENCODING", "Upgrade", "X-Balancer-Reason", "x-balancer-hops",
        ])
    func ownFields(name: String) {
        for (edit, path) in [
            ("\"requestHeaders\": { \"set\": { \"\(name)\": \"x\" } }", ".requestHeaders.set.\(name)"),
            ("\"responseHeaders\": { \"remove\": [\"\(name)\"] }", ".responseHeaders.remove[0]"),
            ("\"override\": { \"header\": \"\(name)\" }", ".override.header"),
        ] {
            let problems = Document(route: "\"split\": { \"core\": 1 }, \(edit)").problems()
            #expect(problems.map(\.path) == ["$.routes[0]\(path)"])
            #expect(problems.first?.message.contains("balancer's own") == true)
        }
    }

    @Test(
        "An endpoint that a listener would accept is a loop",
        arguments: [
            ("0.0.0.0:81", "127.0.0.1:81"), ("0.0.0.0:81", "127.8.8.8:81"), ("0.0.0.0:81", "0.0.0.0:81"),
            ("[::]:81", "127.0.0.1:81"), ("[::]:81", "[::1]:81"), ("127.0.0.1:81", "0.0.0.0:81"),
            ("[::1]:81", "[::]:81"),
        ])
    func loops(listener: String, endpoint: String) {
        func found(_ listener: String) -> [String] {
            Document(
                listeners: "[{ \"name\": \"public\", \"address\": \"\(listener)\" }]",
                core: "\"endpoints\": [\"\(endpoint)\"]"
            ).problems().map { "\($0.path) \($0.message)" }
        }
        #expect(found(listener) == ["$.upstreams.core.endpoints[0] is the listener \"public\" of this balancer itself"])
        #expect(found(listener.replacing(":81", with: ":82")).isEmpty)
    }

    @Test(
        "Another machine's address at the port of a listener is none",
        arguments: [
            ("0.0.0.0:81", "10.0.0.9:81"), ("0.0.0.0:81", "[::1]:81"), ("127.0.0.1:81", "127.0.0.2:81"),
            ("[::]:81", "[fd00::9]:81"),
        ])
    func noLoops(listener: String, endpoint: String) {
        let document = Document(
            listeners: "[{ \"name\": \"public\", \"address\": \"\(listener)\" }]",
            core: "\"endpoints\": [\"\(endpoint)\"]")
        #expect(document.problems().isEmpty)
    }

    @Test(
        "A rewrite that some matched path can have is accepted",
        arguments: [
            #""rewrite": { "strip": "/c" }"#, #""match": { "path": ["/a", "/b"] }, "rewrite": { "strip": "/a" }"#,
            #""match": { "path": "/" }, "rewrite": { "strip": "/a/b" }"#,
            #""match": { "path": "/a/b" }, "rewrite": { "strip": "/a/" }"#,
            #""match": { "path": "/a" }, "rewrite": { "replace": { "prefix": "/a/b", "with": "/c" } }"#,
            #""match": { "path": { "exact": "/a/b" } }, "rewrite": { "strip": "/a" }"#,
        ])
    func possibleRewrites(members: String) {
        #expect(Document(route: #""split": { "core": 1 }, "# + members).problems().isEmpty)
    }

    @Test("What a redirect cannot have is named, each by itself")
    func redirectOnly() {
        let keys = [
            (#""sticky": { "by": "client-address" }"#, "sticky"), (#""override": {}"#, "override"),
            (#""upgrade": []"#, "upgrade"), (#""rewrite": { "strip": "/a" }"#, "rewrite"), (#""host": "keep""#, "host"),
            (#""requestHeaders": {}"#, "requestHeaders"), (#""responseHeaders": {}"#, "responseHeaders"),
        ]
        let members = keys.map(\.0).joined(separator: ",")
        let problems = Document(route: #""redirect": { "scheme": "https" }, "# + members).problems()
        #expect(Set(problems.map(\.path)) == Set(keys.map { "$.routes[0].\($0.1)" }))
        #expect(problems.count == keys.count)
    }

    @Test("The admin API's default address counts too")
    func defaultAdmin() {
        let listeners = #"[{ "name": "a", "address": "127.0.0.1:9901" }]"#
        #expect(Document(listeners: listeners).problems().map(\.path) == ["$"])
        #expect(Document(top: #""admin": false,"#, listeners: listeners).problems().isEmpty)
    }

    @Test("Keys that must be there", arguments: ["listeners", "upstreams", "routes"])
    func missing(key: String) throws {
        let text = Document().text.replacing("\"\(key)\":", with: "\"$schema\": \"x\", \"\(key)x\":")
        let found = problems(text)
        #expect(found.contains { $0.path == "$" && $0.message == "the key \"\(key)\" is missing" }, "\(found)")
        #expect(found.contains { $0.path == "$.\(key)x" && $0.message.contains("did you mean \"\(key)\"?") })
    }

    @Test("A document that is no object", arguments: ["[]", "null", "\"x\"", "5"])
    func noObject(text: String) {
        let found = problems(text)
        #expect(found.count == 1)
        #expect(found.first?.path == "$")
        #expect(found.first?.message.contains("expected an object") == true)
    }

    @Test("Every problem at once, in the order of the file, each with its line")
    func everyProblem() {
        let found = problems(
            """
            {
              "listeners": [{ "name": "public", "address": "nowhere" }],
              "timeouts": { "conect": "2s",
                            "drain": 30 },
              "upstreams": {
                "core": { "endpoints": [] },
                "gateway": { "endpoints": ["127.0.0.1:3301"], "health": { "rise": 0, "rise": 1 } }
              },
              "routes": [
                { "split": { "core": 1 } },
                { "split": { "gatway": 1,
                             "gateway": -1 }, "failover": 1 }
              ],
              "wrokers": 1
            }
            """)
        #expect(
            found.map { "\($0.line ?? 0) \($0.path)" } == [
                "2 $.listeners[0].address", "3 $.timeouts.conect", "4 $.timeouts.drain", "6 $.upstreams.core.endpoints",
                "7 $.upstreams.gateway.health.rise", "7 $.upstreams.gateway.health.rise", "11 $.routes[1].split.gatway",
                "12 $.routes[1].split.gateway", "12 $.routes[1].failover", "14 $.wrokers",
            ])
    }

    @Test("A route is not reported for the faults of its upstream")
    func noFollowingFaults() {
        #expect(Document(core: #""endpoints": 1"#).problems().map(\.path) == ["$.upstreams.core.endpoints"])
        #expect(Document(upstreams: #"{ "core": 1 }"#).problems().map(\.path) == ["$.upstreams.core"])
    }

    @Test("A file that is wrong everywhere gives a bounded list")
    func bounded() {
        let keys = (0..<5_000).map { "\"key\($0)\": 1" }.joined(separator: ",\n")
        let found = problems("{ \(keys) }")
        #expect(found.count == 101)
        #expect(found.last?.message == "further problems are not listed")
    }

    @Test("Paths are bounded however long the names in them, and still say where to look")
    func boundedPaths() {
        let name = String(repeating: "n", count: 500_000)
        let members = (0..<20_000).map { _ in "\"a\": [1]" }.joined(separator: ",\n")
        let found = problems("{ \"\(name)\": {\n\(members) } }")
        #expect(found.count == 101)
        #expect(found.allSatisfy { $0.path.utf8.count <= 200 })
        #expect(found.dropFirst().first?.path == "$[\"\(String(repeating: "n", count: 80))…\"].a")
        // Where the steps are many, those that have no room are left out whole.
        let deep =
            String(repeating: "{ \"level\": ", count: 60) + "{ \"a\": 1,\n \"a\": 2 }"
            + String(repeating: "}", count: 60)
        let repeated = problems("{ \"x\": \(deep) }").filter { $0.line == 2 }
        #expect(repeated.map(\.path) == ["$.x" + String(repeating: ".level", count: 32) + "…"])
    }

    @Test("A syntax error is one problem with line and column")
    func syntax() {
        let found = problems("{\n  \"listeners\": [,]\n}")
        #expect(
            found == [
                ConfigurationProblem(
                    path: "$", message: "not JSON, column 17: expected a value, found ','", line: 2)
            ])
    }

    @Test("What an operator wrote cannot write to the terminal")
    func controlCharacters() {
        let found = Document(top: #""\u001b[2J\u0007\u0085": 1,"#).problems()
        #expect(found.map(\.path) == [#"$["\u{1b}[2J\u{7}\u{85}"]"#])
    }

    @Test("Problems name the line they are in")
    func description() throws {
        let problem = ConfigurationProblem(
            path: "$.routes[1].split.gatway", message: "unknown upstream; did you mean \"gateway\"?", line: 12)
        #expect(
            problem.description
                == "line 12: $.routes[1].split.gatway: unknown upstream; did you mean \"gateway\"?")
    }
}

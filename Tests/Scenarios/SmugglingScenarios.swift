import TestSupport
import Testing

/// Requests that two parsers could read differently: each is refused, the connection closed, and nothing of it, nor of
/// what follows it, reaches the upstream.
@Suite("Smuggling", .serialized) struct SmugglingScenarios {
    static let heads: [(name: String, text: String)] = [
        ("length and chunks", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
        ("chunks and length", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"),
        ("two lengths", "Content-Length: 3\r\nContent-Length: 4\r\n"),
        ("same length twice", "Content-Length: 3\r\nContent-Length: 3\r\n"),
        ("length list", "Content-Length: 3, 3\r\n"),
        ("length with sign", "Content-Length: +3\r\n"),
        ("negative length", "Content-Length: -3\r\n"),
        ("hexadecimal length", "Content-Length: 0x3\r\n"),
        ("length beyond all numbers", "Content-Length: 99999999999999999999\r\n"),
        ("empty length", "Content-Length: \r\n"),
        ("length with a space inside", "Content-Length: 1 0\r\n"),
        ("chunked not last", "Transfer-Encoding: chunked, identity\r\n"),
        ("chunked twice", "Transfer-Encoding: chunked, chunked\r\n"),
        ("two codings fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
        ("gzip then chunked", "Transfer-Encoding: gzip, chunked\r\n"),
        ("unknown coding", "Transfer-Encoding: xchunked\r\n"),
        ("quoted coding", "Transfer-Encoding: \"chunked\"\r\n"),
        ("coding with parameter", "Transfer-Encoding: chunked;q=1\r\n"),
        ("vertical tab before coding", "Transfer-Encoding: \u{0B}chunked\r\n"),
        ("space before colon", "Transfer-Encoding : chunked\r\n"),
        ("tab before colon", "Content-Length\t: 3\r\n"),
        ("space before name", " Content-Length: 3\r\n"),
        ("folded value", "X-A: b\r\n Content-Length: 3\r\n"),
        ("bare LF", "X-A: b\nContent-Length: 3\r\n"),
        ("bare CR", "X-A: b\rContent-Length: 3\r\n"),
        ("NUL in value", "X-A: b\u{0}c\r\n"),
        ("NUL in name", "X-\u{0}A: b\r\n"),
        ("no colon", "X-A\r\n"),
        ("empty name", ": b\r\n"),
        ("bytes beyond ASCII in name", "X-Ä: b\r\n"),
        ("second Host", "Host: other\r\n"),
        ("delete byte", "X-A: \u{7F}\r\n"),
    ]

    static let starts: [(name: String, text: String)] = [
        ("no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n"),
        ("bad Host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        ("Host with user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"),
        ("Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
        ("two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("tab", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("space in target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("no version", "GET /\r\nHost: h\r\n\r\n"),
        ("small letters", "GET / http/1.1\r\nHost: h\r\n\r\n"),
        ("trailing space", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n"),
        ("bare LF", "GET / HTTP/1.1\nHost: h\n\n"),
        ("bad method", "G(T / HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("NUL in target", "GET /\u{0} HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("version 1.2.3", "GET / HTTP/1.11\r\nHost: h\r\n\r\n"),
    ]

    static let bodies: [(name: String, text: String)] = [
        ("no size", "zz\r\n"), ("negative size", "-1\r\n"), ("prefixed size", "0x3\r\nabc\r\n0\r\n\r\n"),
        ("size beyond all numbers", "fffffffffffffffff\r\n"), ("bare LF after size", "3\nabc\r\n0\r\n\r\n"),
        ("no line end after data", "3\r\nabcd\r\n0\r\n\r\n"), ("space before size", " 3\r\nabc\r\n0\r\n\r\n"),
        ("bare CR in extension", "3;a\rb\r\nabc\r\n0\r\n\r\n"), ("space before trailer colon", "0\r\nX : y\r\n\r\n"),
        ("bare LF after last chunk", "0\n\n"),
    ]

    private static let follower = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

    private func refuse(_ text: String, whatever name: String, pieces: Int? = nil) throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream)
        try self.refuse(text, name, balancer, upstream, pieces)
    }

    private func refuse(
        _ text: String, _ name: String, _ balancer: BalancerProcess, _ upstream: ScriptedUpstream, _ pieces: Int?
    ) throws {
        let connection = try balancer.connect()
        if let pieces { connection.send(text, pieces: pieces) } else { connection.send(text) }
        let (answer, end) = connection.readAll()
        #expect(
            answer.hasPrefix("HTTP/1.1 400 ") || answer.hasPrefix("HTTP/1.1 505 "), "\(name): \(answer.prefix(200))")
        #expect(answer.components(of: "HTTP/1.1 ") == 1, "\(name)")
        #expect(end == .closed || end == .reset, "\(name)")
        #expect(!upstream.requests.contains { $0.start.contains("smuggled") }, "\(name)")
    }

    @Test("Heads, at once and split at every byte", arguments: [nil, 1])
    func heads(piece: Int?) throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream)
        for (name, fields) in Self.heads {
            try self.refuse(
                "POST / HTTP/1.1\r\nHost: h\r\n\(fields)\r\nabc" + Self.follower, name, balancer, upstream, piece)
        }
        for (name, text) in Self.starts { try self.refuse(text + Self.follower, name, balancer, upstream, piece) }
        #expect(upstream.requests.isEmpty)
        #expect(try balancer.request("/fine").text == "/fine", "what follows on other connections is served")
    }

    @Test("Chunked bodies", arguments: [nil, 1])
    func bodies(piece: Int?) throws {
        // The head of these is good, so the upstream may see it, but never a whole request.
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream)
        for (name, body) in Self.bodies {
            try self.refuse(
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\(body)" + Self.follower, name,
                balancer,
                upstream, piece)
        }
        #expect(upstream.requests.isEmpty, "\(upstream.requests.map(\.start))")
    }

    @Test(
        "Responses that two parsers could read differently are answered 502 and their connections left",
        arguments: [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\nContent-Length: 2\n\n", "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n", "HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\n",
            "NONSENSE\r\n\r\n", "HTTP/1.1 099 X\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        ])
    func responses(head: String) throws {
        let upstream = try ScriptedUpstream.answering { _, _ in head + "ok" }
        let balancer = try BalancerProcess(before: upstream, keys: "\"passive\": {\"enabled\": false}")
        for expected in 1...2 {
            let response = try balancer.request(method: "POST", body: "x")
            #expect(response.status == 502, "\(response.start) \(response.text)")
            #expect(response.field("x-balancer-reason") != nil)
            #expect(upstream.connections == expected)
        }
    }
}

import Foundation
import Glibc
import TestSupport
import Testing

/// Answers in a shorter form: what a client of another house makes of them, and what may not be touched.
@Suite("Compression", .serialized) struct CompressionScenarios {
    private static func configuration(_ core: UInt16, _ compression: String = "{}", route: String = "") -> String {
        """
        {"listeners": [{"name": "public", "address": "127.0.0.1:0"}],
         "admin": {"address": "127.0.0.1:0"}, "accessLog": {"enabled": true},
         "upstreams": {"core": {"endpoints": ["127.0.0.1:\(core)"]}},
         "routes": [{"name": "api", "split": {"core": 1}, "compression": \(compression)\(route)}]}
        """
    }

    private static let body = (0..<4_000).map { #"{"number": \#($0), "name": "item \#($0 % 7)"}"# }.joined(
        separator: "\n")

    /// `curl`, which takes bodies out of their forms by libraries of its own.
    private static func curl(_ port: UInt16, _ path: String, _ words: [String]) throws -> (
        status: Int32, output: String
    ) {
        let program = try Program(
            path: "/usr/bin/curl",
            ["-sS", "--compressed", "--max-time", "30", "http://127.0.0.1:\(port)\(path)"] + words)
        let status = try #require(program.awaitExit())
        return (status, program.output.joined(separator: "\n"))
    }

    private static func sample(_ balancer: BalancerProcess, _ series: String) throws -> Int {
        let line = try balancer.admin("/metrics").text.split(separator: "\n").first { $0.hasPrefix(series + " ") }
        return line.flatMap { Int($0.dropFirst(series.count + 1)) } ?? -1
    }

    @Test("A reload that ends compression lets answers that are under way come whole, and costs no worker anything")
    func reloaded() throws {
        // Further apart than what gzip looks back: it comes out half as large, much larger than what the kernel holds.
        var seed: UInt32 = 7
        let block = (0..<65_536).map { _ -> UInt8 in
            seed = seed &* 1_664_525 &+ 1_013_904_223
            return Array("0123456789abcdef".utf8)[Int(seed >> 28)]
        }
        let body = String(repeating: String(decoding: block, as: UTF8.self), count: 384)
        let core = try ScriptedUpstream.answering { _, _ in
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        }
        let balancer = try BalancerProcess(Self.configuration(core.port), workers: 1)
        let file = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(file) }
        let slow = try Program(
            path: "/usr/bin/curl",
            [
                "-sS", "--compressed", "--max-time", "60", "--limit-rate", "4M", "-H", "Accept-Encoding: gzip", "-o",
                file + "/answer", "http://127.0.0.1:\(balancer.port)/",
            ])
        #expect(eventually { core.requests.count == 1 })
        let plain = Self.configuration(core.port).replacing(#", "compression": {}"#, with: "")
        try BalancerProcess.write(plain, to: balancer.file)
        balancer.program.signal(SIGHUP)
        #expect(eventually { balancer.program.errors.contains { $0.contains("generation=2") } })
        #expect(slow.awaitExit(seconds: 90) == 0, "\(slow.errors)")
        #expect(try String(contentsOfFile: file + "/answer", encoding: .utf8) == body)
    }

    @Test("Each form is read by others, however the body came, and however slowly it is taken")
    func forms() throws {
        let body = Self.body
        let core = try ScriptedUpstream.answering { request, _ in
            let type = "Content-Type: application/json\r\nETag: \"v1\"\r\nAccept-Ranges: bytes\r\n"
            switch request.start.split(separator: " ")[1] {
            case "/length": return "HTTP/1.1 200 OK\r\n\(type)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
            case "/chunks":
                let half = body.utf8.count / 2
                let first = String(decoding: body.utf8.prefix(half), as: UTF8.self)
                let second = String(decoding: body.utf8.dropFirst(half), as: UTF8.self)
                return "HTTP/1.1 200 OK\r\n\(type)Transfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
                    + "\(String(half, radix: 16))\r\n\(first)\r\n\(String(second.utf8.count, radix: 16))\r\n\(second)\r\n"
                    + "0\r\nX-T: 1\r\n\r\n"
            case "/empty": return "HTTP/1.1 200 OK\r\n\(type)Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            default: return "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
            }
        }
        let balancer = try BalancerProcess(Self.configuration(core.port), workers: 2)
        for coding in ["gzip", "br", "zstd"] {
            let wish = ["-H", "Accept-Encoding: \(coding)"]
            for path in ["/length", "/chunks"] {
                let answer = try Self.curl(balancer.port, path, wish)
                #expect(answer.status == 0 && answer.output == body, "\(coding) \(path) \(answer.output.count)")
                let head = try Self.curl(balancer.port, path, wish + ["-D", "-", "-o", "/dev/null"]).output.lowercased()
                #expect(head.contains("content-encoding: \(coding)"), "\(head)")
                #expect(head.contains("vary: accept-encoding") && head.contains("etag: w/\"v1\""), "\(head)")
                #expect(!head.contains("content-length") && !head.contains("accept-ranges"), "\(head)")
            }
            let slow = try Self.curl(balancer.port, "/length", wish + ["--limit-rate", "20k"])
            #expect(slow.status == 0 && slow.output == body)
            #expect(try Self.curl(balancer.port, "/empty", wish).output == "")
        }
        // Over one connection, forms in turns.
        let many = try Self.curl(
            balancer.port, "/length",
            ["-H", "Accept-Encoding: br", "--next", "-sS", "--compressed", "http://127.0.0.1:\(balancer.port)/chunks"])
        #expect(many.status == 0 && many.output.hasPrefix(body))
        #expect(core.requests.allSatisfy { $0.field("accept-encoding") != nil })
        let count = try Self.sample(balancer, #"balancer_compression_responses_total{route="api",encoding="zstd"}"#)
        // The last of all takes any, of which this is preferred.
        #expect(count == 6)
        let taken = try Self.sample(balancer, #"balancer_compression_bytes_total{route="api",direction="in"}"#)
        let given = try Self.sample(balancer, #"balancer_compression_bytes_total{route="api",direction="out"}"#)
        #expect(taken >= 15 * body.utf8.count && given * 3 < taken && given > 0, "\(taken) \(given)")
        let line = try balancer.program.await { $0.contains(#""encoding":"zstd""#) ? $0 : nil }
        #expect(line.contains(#""responseBytes":\#(body.utf8.count)"#) && line.contains(#""wireBytes":"#), "\(line)")
        #expect(balancer.stop() == 0)
    }

    @Test("A raw client sees chunks, trailers, and a connection that goes on")
    func frames() throws {
        let body = Self.body
        let core = try ScriptedUpstream.answering { _, _ in
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "\(String(body.utf8.count, radix: 16))\r\n\(body)\r\n0\r\nX-T: 1\r\n\r\n"
        }
        let balancer = try BalancerProcess(Self.configuration(core.port))
        let connection = try balancer.connect()
        var reader = MessageReader(connection)
        for _ in 0..<5 {
            connection.send("GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n")
            let answer = try reader.message()
            #expect(answer.field("transfer-encoding") == "chunked" && answer.field("content-encoding") == "gzip")
            #expect(answer.trailers == ["X-T: 1"], "\(answer.trailers)")
            #expect(answer.body.prefix(2) == [0x1F, 0x8B] && answer.body.count < body.utf8.count / 3)
        }
        #expect(core.connections == 1)
        let old = try balancer.exchange("GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n").text
        #expect(old.contains("Vary: Accept-Encoding") && old.hasSuffix(body), "its end is the close alone")
    }

    @Test("All that an upstream has sent is out before more comes", arguments: ["gzip", "br", "zstd"])
    func flushes(coding: String) throws {
        let seen = Locked(0)
        let core = try ScriptedUpstream { connection, _ in
            var reader = MessageReader(connection)
            _ = try reader.message(seconds: 60)
            connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
            for number in 1...5 {
                connection.send("7\r\nline \(number)\n\r\n")
                guard eventually({ seen.value >= number }) else { return }
            }
            connection.send("0\r\n\r\n")
        }
        let balancer = try BalancerProcess(Self.configuration(core.port))
        let client = try Program(
            path: "/usr/bin/curl",
            [
                "-sSN", "--compressed", "-H", "Accept-Encoding: \(coding)", "--max-time", "60",
                "http://127.0.0.1:\(balancer.port)/",
            ])
        for number in 1...5 {
            _ = try client.await { $0 == "line \(number)" ? true : nil }
            seen.change { $0 = number }
        }
        #expect(client.awaitExit() == 0)
    }

    @Test("An answer that breaks off is not made to look whole", arguments: ["gzip", "br", "zstd"])
    func cuts(coding: String) throws {
        let body = Self.body
        let core = try ScriptedUpstream { connection, _ in
            var reader = MessageReader(connection)
            _ = try reader.message(seconds: 60)
            connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000000\r\n\r\n\(body)")
        }
        let balancer = try BalancerProcess(
            Self.configuration(core.port, route: #", "timeouts": {"responseBodyIdle": "5s"}"#))
        #expect(try Self.curl(balancer.port, "/", ["-H", "Accept-Encoding: \(coding)"]).status != 0)
        #expect(balancer.stop() == 0)
    }

    /// What an upstream says, whether the answer is compressed for a client that takes gzip, and whether it varies.
    private static let candidates: [(name: String, status: String, fields: String, isCoded: Bool, varies: Bool)] = [
        ("plain", "200 OK", "Content-Type: text/plain; charset=utf-8\r\n", true, true),
        ("upper", "200 OK", "Content-Type: APPLICATION/Problem+JSON\r\n", true, true),
        ("missing", "404 Not Found", "Content-Type: text/html\r\n", true, true),
        ("trouble", "503 Later", "Content-Type: text/html\r\n", true, true),
        ("teapot", "418 Teapot", "Content-Type: text/html\r\n", false, false),
        ("moved", "301 Moved", "Content-Type: text/html\r\n", false, false),
        ("part", "206 Partial Content", "Content-Type: text/plain\r\nContent-Range: bytes 0-1/9\r\n", false, false),
        ("ranged", "200 OK", "Content-Type: text/plain\r\nContent-Range: bytes 0-1/9\r\n", false, false),
        ("coded", "200 OK", "Content-Type: text/plain\r\nContent-Encoding: br\r\n", false, false),
        ("fixed", "200 OK", "Content-Type: text/plain\r\nCache-Control: no-transform\r\n", false, false),
        ("image", "200 OK", "Content-Type: image/png\r\n", false, false),
        ("untyped", "200 OK", "", false, false),
        ("events", "200 OK", "Content-Type: text/event-stream\r\n", false, false),
        ("grpc", "200 OK", "Content-Type: application/grpc+json\r\n", false, false),
        ("varies", "200 OK", "Content-Type: text/plain\r\nVary: Origin, Accept-Encoding\r\n", true, true),
    ]

    @Test("What may be touched, and what may not", arguments: Self.candidates.map(\.name))
    func rules(name: String) throws {
        let rule = try #require(Self.candidates.first { $0.name == name })
        let body = Self.body
        let core = try ScriptedUpstream.answering { _, _ in
            "HTTP/1.1 \(rule.status)\r\n\(rule.fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        }
        let balancer = try BalancerProcess(Self.configuration(core.port))
        let answer = try balancer.request(fields: "Accept-Encoding: gzip\r\n")
        #expect(answer.status == Int(rule.status.prefix(3)))
        #expect((answer.field("content-encoding") == "gzip") == rule.isCoded, "\(answer.fields)")
        let varies = answer.fields.filter {
            $0.name.lowercased() == "vary" && $0.value.lowercased().contains("accept-encoding")
        }
        #expect(varies.count == (rule.varies ? 1 : 0), "\(answer.fields)")
        if !rule.isCoded { #expect(answer.text == body) }
        let other = try balancer.request(fields: "Accept-Encoding: gzip;q=0, identity\r\n")
        #expect(other.text == body && other.field("content-length") == "\(body.utf8.count)")
        #expect(other.fields.contains { $0.name.lowercased() == "vary" } == rule.varies)
        let asked = try balancer.request(fields: "Cache-Control: no-transform\r\nAccept-Encoding: gzip\r\n")
        #expect(asked.text == body)
        #expect(asked.fields.contains { $0.name.lowercased() == "vary" } == rule.varies, "others may get another form")
    }

    @Test("HEAD and 304 say what a GET would; small bodies and requests with credentials are left alone where wished")
    func edges() throws {
        let body = Self.body
        let core = try ScriptedUpstream.answering { request, _ in
            if request.start.hasPrefix("HEAD") {
                let length = request.start.contains("/small") ? 5 : 9_000
                return "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nETag: \"a\"\r\nContent-Length: \(length)\r\n\r\n"
            }
            if let condition = request.field("if-none-match") {
                return "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nX-Saw: \(condition)\r\n\r\n"
            }
            let sent = request.start.contains("/small") ? "small" : body
            return "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: \(sent.utf8.count)\r\n\r\n\(sent)"
        }
        let balancer = try BalancerProcess(
            Self.configuration(core.port, #"{"credentials": false, "algorithms": ["br", "gzip"]}"#))
        let accept = "Accept-Encoding: gzip, br;q=0.9\r\n"
        let head = try balancer.request(method: "HEAD", fields: accept)
        #expect(
            head.field("vary") == "Accept-Encoding" && head.field("etag") == "W/\"a\""
                && head.field("content-encoding") == "gzip" && head.field("content-length") == nil, "\(head.fields)")
        let plain = try balancer.request(method: "HEAD")
        #expect(
            plain.field("vary") == "Accept-Encoding" && plain.field("etag") == "\"a\""
                && plain.field("content-encoding") == nil && plain.field("content-length") == "9000", "\(plain.fields)")
        let little = try balancer.request("/small", method: "HEAD", fields: accept)
        #expect(little.field("content-encoding") == nil && little.field("content-length") == "5", "\(little.fields)")
        let kept = try balancer.request(fields: accept + "If-None-Match: \"b\", W/\"a\"\r\n")
        #expect(kept.status == 304 && kept.field("vary") == "Accept-Encoding" && kept.field("etag") == "W/\"a\"")
        #expect(kept.field("x-saw") == "\"b\", W/\"a\"", "conditions go up as they came")
        let strong = try balancer.request(fields: accept + "If-None-Match: \"a\"\r\n")
        #expect(strong.status == 304 && strong.field("vary") == "Accept-Encoding" && strong.field("etag") == "\"a\"")
        let small = try balancer.request("/small", fields: accept)
        #expect(small.text == "small" && small.field("vary") == "Accept-Encoding")
        let refused = try balancer.request("/small", fields: "Accept-Encoding: gzip, identity;q=0\r\n")
        #expect(refused.field("content-encoding") == "gzip" && refused.body != Array("small".utf8))
        let unwanted = try balancer.request(fields: "Accept-Encoding: gzip;q=0.5, identity\r\n")
        #expect(unwanted.text == body && unwanted.field("content-encoding") == nil)
        #expect(try balancer.request(fields: accept).field("content-encoding") == "gzip", "wanted most")
        #expect(try balancer.request(fields: "Accept-Encoding: *\r\n").field("content-encoding") == "br", "preferred")
        for secret in ["Cookie: a=b\r\n", "Authorization: Bearer x\r\n"] {
            let answer = try balancer.request(fields: accept + secret)
            #expect(answer.text == body && answer.field("vary") == "Accept-Encoding", "\(answer.fields)")
        }
        let skipped = #"balancer_compression_skipped_total{route="api",reason="credentials"}"#
        #expect(try Self.sample(balancer, skipped) == 2)
        #expect(try Self.sample(balancer, #"balancer_compression_skipped_total{route="api",reason="size"}"#) == 2)
    }

    @Test("A digest that is announced behind the body keeps it as it is; one that is not goes with the bytes it was of")
    func digests() throws {
        let body = Self.body
        let core = try ScriptedUpstream.answering { request, _ in
            let announced = request.start.contains("/told") ? "Trailer: X-T, Content-Digest\r\n" : ""
            return "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\(announced)Transfer-Encoding: chunked\r\n\r\n"
                + "\(String(body.utf8.count, radix: 16))\r\n\(body)\r\n0\r\nX-T: 1\r\nContent-Digest: sha-256=:AA==:\r\n\r\n"
        }
        let balancer = try BalancerProcess(Self.configuration(core.port))
        let told = try balancer.request("/told", fields: "Accept-Encoding: gzip\r\n")
        #expect(told.text == body && told.trailers == ["X-T: 1", "Content-Digest: sha-256=:AA==:"], "\(told.trailers)")
        let silent = try balancer.request("/silent", fields: "Accept-Encoding: gzip\r\n")
        #expect(silent.field("content-encoding") == "gzip" && silent.trailers == ["X-T: 1"], "\(silent.trailers)")
        #expect(try balancer.request("/silent").trailers.count == 2)
    }

    @Test("What an upstream's Connection names takes nothing away that is added here")
    func nominated() throws {
        let body = Self.body
        let core = try ScriptedUpstream.answering { _, _ in
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: content-encoding, vary, x-own\r\nX-Own: 1\r\n"
                + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        }
        let balancer = try BalancerProcess(Self.configuration(core.port))
        let answer = try balancer.request(fields: "Accept-Encoding: gzip\r\n")
        #expect(answer.field("content-encoding") == "gzip" && answer.field("vary") == "Accept-Encoding")
        #expect(answer.field("x-own") == nil)
    }

    @Test("Beside large answers that are coded the others have their turn")
    func turns() throws {
        // Bytes that cost much to code, as many as the clients take: they read while it goes on.
        let core = try ScriptedUpstream { connection, _ in
            var reader = MessageReader(connection)
            while true {
                let request = try reader.message(seconds: 60)
                guard request.start.contains("/large") else {
                    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    continue
                }
                connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000000000\r\n\r\n")
                var random = SplitMix(1)
                let piece = (0..<1_048_576).map { _ in UInt8(truncatingIfNeeded: random.next() & 0x3F | 0x20) }
                while connection.send(piece) {}
                return
            }
        }
        let balancer = try BalancerProcess(
            Self.configuration(
                core.port, #"{"algorithms": ["br"], "level": 9}"#,
                route: #", "match": {"path": "/large"}}, {"name": "plain", "split": {"core": 1}"#))
        let clients = try (0..<8).map { _ in
            try Program(
                path: "/usr/bin/curl",
                [
                    "-s", "--max-time", "60", "-H", "Accept-Encoding: br", "-o", "/dev/null",
                    "http://127.0.0.1:\(balancer.port)/large",
                ])
        }
        defer { for client in clients { client.signal(SIGKILL) } }
        #expect(
            try eventually {
                try Self.sample(balancer, #"balancer_compression_responses_total{route="api",encoding="br"}"#) == 8
            })
        let connection = try balancer.connect()
        var reader = MessageReader(connection)
        var times: [Double] = []
        let clock = ContinuousClock()
        for _ in 0..<40 {
            let began = clock.now
            connection.send("GET /plain HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try reader.message().text == "ok")
            times.append(
                Double((clock.now - began).components.attoseconds) / 1e18
                    + Double((clock.now - began).components.seconds))
        }
        times.sort()
        // Eight answers of 256 KiB each would take a second and more in an unhurried build; a turn of one is a part of that.
        #expect(times[20] < 0.5, "\(times)")
    }
}

import Glibc
import RoutesFile
import Testing
import Traffic

@Suite("Whatever the bytes are")
struct RobustnessTests {
    /// Both documents together hold every section that the reader knows.
    static let seeds: [[UInt8]] = [
        Document(
            top: """
                "admin": false, "accessLog": { "path": "x" }, "operationalLog": { "level": "info" }, "workers": 2,
                "tracing": { "endpoint": "http://c:4318/v1", "sample": 0.25, "service": "b" },
                "takeover": { "path": "/s" }, "trustedProxies": ["10.0.0.0/8"], "errors": { "reason": true },
                "forwarding": { "via": "b" }, "timeouts": { "connect": "1.5s" }, "limits": { "body": "1.5KiB" },
                """,
            core: """
                "endpoints": ["core:1", "[::1]:2"], "balance": { "hash": { "by": "cookie", "name": "c" } },
                "health": { "path": "/h", "expect": { "status": [200, "2xx", "300-399"], "body": "\\u00e9\\ud83d\\ude00" } },
                "passive": { "window": "9s" }, "queue": { "length": 1 }, "retry": { "attempts": 1 }
                """,
            route: """
                "name": "r", "match": { "host": "*.a.b", "path": ["/a", { "exact": "/b" }], "method": "GET",
                "headers": { "X": true } }, "split": { "core": 90 }, "sticky": { "by": "client-address" },
                "override": { "from": ["::1"] }, "rewrite": { "replace": { "prefix": "/a", "with": "/b" } },
                "host": { "literal": "h:1" }, "requestHeaders": { "set": { "A": "b" }, "remove": ["C"] },
                "timeouts": { "queue": "1s" }, "limits": { "body": 1 }
                """
        ).text,
        Document(route: #""redirect": { "status": 301, "scheme": "https", "host": "a.b", "path": "/c" }"#).text,
    ].map { Array($0.utf8) }

    /// Accepted or rejected with at least one problem; anything else would not return.
    @discardableResult
    private func outcome(_ bytes: [UInt8]) -> Bool {
        do {
            let configuration = try RoutesFile.parse(bytes)
            #expect(!configuration.listeners.isEmpty)
            #expect(!configuration.table.routes.isEmpty)
            return true
        } catch {
            #expect(!error.problems.isEmpty)
            return false
        }
    }

    @Test("Every truncation is rejected", arguments: seeds)
    func truncation(seed: [UInt8]) {
        #expect(self.outcome(seed))
        for length in seed.indices { #expect(!self.outcome(Array(seed[..<length])), "cut at \(length)") }
    }

    @Test("Every single byte may be missing, doubled, or another one", arguments: seeds)
    func singleBytes(seed: [UInt8]) {
        let others: [UInt8] = [0x00, 0x22, 0x2C, 0x39, 0x5C, 0x7D, 0xED]
        for index in seed.indices {
            var shorter = seed
            shorter.remove(at: index)
            self.outcome(shorter)
            var longer = seed
            longer.insert(seed[index], at: index)
            self.outcome(longer)
            for other in others {
                var changed = seed
                changed[index] = other
                self.outcome(changed)
            }
        }
    }

    @Test("Random changes; SIM_SEED replays them")
    func random() {
        let seed = getenv("SIM_SEED").flatMap { UInt64(String(cString: $0)) } ?? UInt64.random(in: 0...UInt64.max)
        // Unbuffered and before the first change, so that even a crash leaves it behind.
        let line = Array("SIM_SEED=\(seed)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
        var random = Generator(state: seed)
        for _ in 0..<3_000 {
            var bytes = Self.seeds[Int(random.next() % UInt64(Self.seeds.count))]
            for _ in 0...(random.next() % 6) {
                let index = Int(random.next() % UInt64(bytes.count))
                let end = min(bytes.count, index + Int(random.next() % 12))
                switch random.next() % 4 {
                case 0: bytes[index] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.removeSubrange(index..<end)
                case 2: bytes.insert(contentsOf: bytes[index..<end], at: Int(random.next() % UInt64(bytes.count)))
                default: bytes.insert(UInt8(ascii: "9"), at: index)
                }
                if bytes.isEmpty { bytes = [0x7B] }
            }
            self.outcome(bytes)
        }
    }

    private struct Generator {
        var state: UInt64

        /// xorshift64*; zero would stay zero.
        mutating func next() -> UInt64 {
            if self.state == 0 { self.state = 0x9E37_79B9_7F4A_7C15 }
            self.state ^= self.state >> 12
            self.state ^= self.state << 25
            self.state ^= self.state >> 27
            return self.state &* 0x2545_F491_4F6C_DD1D
        }
    }
}

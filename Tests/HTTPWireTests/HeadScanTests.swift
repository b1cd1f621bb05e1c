import HTTPWire
import TestSupport
import Testing

@Suite("When a head is worth parsing")
struct HeadScanTests {
    private static let limits = HeadLimits(requestLine: 48, bytes: 160, count: 5)

    private enum Kind: CaseIterable { case request, response }

    private func parse(_ bytes: ArraySlice<UInt8>, _ kind: Kind, limits: HeadLimits) -> Verdict {
        switch kind {
        case .request: Parsing.request(Array(bytes), limits: limits)
        case .response: Parsing.response(Array(bytes), limits: limits)
        }
    }

    /// Presents `bytes` as they come and parses when the scan says so, up to a verdict. Answers how many bytes were there
    /// then and how many attempts there were.
    private func drip(
        _ bytes: [UInt8], _ kind: Kind, limits: HeadLimits = Self.limits, next: () -> Int
    ) -> (verdict: Verdict, count: Int, attempts: Int) {
        var scan = HeadScan()
        var count = 0
        var attempts = 0
        while count < bytes.count {
            count = min(bytes.count, count + next())
            let present = Array(bytes[..<count])
            guard scan.mayBeComplete(present.span, limits: limits) else { continue }
            attempts += 1
            let verdict = self.parse(bytes[..<count], kind, limits: limits)
            if verdict != .incomplete { return (verdict, count, attempts) }
        }
        return (.incomplete, count, attempts)
    }

    @Test("Heads of every kind, cut at every byte, need three attempts at most")
    func everySplit() {
        let heads: [(String, Kind)] = [
            ("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n", .request),
            ("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", .request),
            ("GET / HTTP/1.0\r\n\r\n", .request), ("HTTP/1.1 200 OK\r\nA: b\tc\r\n\r\n", .response),
            ("HTTP/1.1 100\r\n\r\n", .response),
        ]
        for (text, kind) in heads {
            let bytes = Parsing.bytes(text)
            for piece in 1...bytes.count {
                let (verdict, count, attempts) = self.drip(bytes + Parsing.bytes("REST"), kind) { piece }
                #expect(verdict != .incomplete, "\(text.debugDescription), piece \(piece)")
                #expect(count - bytes.count < piece && attempts <= 3, "\(text.debugDescription), piece \(piece)")
            }
        }
    }

    @Test(
        "What no head may hold is found at once",
        arguments: [
            ("GET /\n", 6), ("GET / HTTP/1.1\r\nHost: h\n", 24), ("GET /\rX", 7), ("GET /\u{0}", 6), ("GET /\u{7f}", 6),
            ("GET / HTTP/1.1\r\nA\u{1}", 18), ("GET / HTTP/1.2\r\n", 16), ("\r\n\r\n", 4), ("\rX", 2),
        ])
    func faults(text: String, found: Int) {
        let (verdict, count, _) = self.drip(Parsing.bytes(text + "more and more"), .request) { 1 }
        guard case .refused = verdict else {
            Issue.record("\(verdict)")
            return
        }
        #expect(count == found)
    }

    @Test("A start line may be as long as its limit and no longer; long fields behind it are no reason to parse")
    func startLine() {
        for (kind, start, end) in [(Kind.request, "GET /", " HTTP/1.1"), (.response, "HTTP/1.1 200 ", "")] {
            let line = { (count: Int) in start + String(repeating: "a", count: count - start.count - end.count) + end }
            let good = Parsing.bytes(line(48) + "\r\nHost: h\r\nX: \(String(repeating: "x", count: 60))\r\n\r\n")
            let taken = self.drip(good, kind) { 1 }
            #expect(taken.count == good.count && taken.attempts == 3)
            let long = Parsing.bytes(line(49) + "\r\nHost: h\r\n\r\n")
            let refused = self.drip(long, kind) { 1 }
            #expect(refused.verdict == .refused(kind == .request ? .requestLineTooLong : .headTooLarge))
            #expect(refused.count == 49)
        }
    }

    @Test("Limits of bytes and fields are noticed when they are passed")
    func limits() {
        let many = Parsing.bytes("GET / HTTP/1.1\r\nHost: h\r\n" + String(repeating: "a:b\r\n", count: 5))
        let fields = self.drip(many, .request) { 1 }
        #expect(fields.verdict == .refused(.tooManyFields) && fields.count == many.count)
        let large = Parsing.bytes("GET / HTTP/1.1\r\nHost: h\r\nA: " + String(repeating: "b", count: 200))
        let bytes = self.drip(large, .request) { 1 }
        #expect(bytes.verdict == .refused(.headTooLarge) && bytes.count == 161)
    }

    @Test("A large head that comes byte by byte costs three attempts")
    func large() {
        let limits = HeadLimits(requestLine: 8_192, bytes: 65_536, count: 1_000)
        var text = "GET /\(String(repeating: "p", count: 2_000)) HTTP/1.1\r\nHost: h\r\n"
        for index in 0..<200 { text += "X-\(index): \(String(repeating: "v", count: 100))\r\n" }
        let (verdict, _, attempts) = self.drip(Parsing.bytes(text + "\r\n"), .request, limits: limits) { 1 }
        #expect(verdict != .incomplete)
        #expect(attempts == 3)
    }

    @Test(
        "By chance: nothing is missed beyond the end of a head, and little is asked", arguments: 0..<8 as Range<UInt64>)
    func random(seed: UInt64) {
        var random = SplitMix(seed)
        for round in 0..<400 {
            let kind: Kind = random.below(2) == 0 ? .request : .response
            var bytes = Self.head(kind, &random)
            if random.below(2) == 0 { RandomBody.damage(&bytes, &random) }
            let note: Comment =
                "seed \(seed), round \(round): \(String(decoding: bytes, as: UTF8.self).debugDescription)"
            let whole = self.parse(bytes[...], kind, limits: Self.limits)
            let fixed = random.below(5) + 1
            let isFixed = random.below(2) == 0
            let (verdict, count, attempts) = self.drip(bytes, kind) { isFixed ? fixed : random.below(30) + 1 }
            #expect(attempts <= 4, note)
            switch whole {
            case .incomplete: #expect(verdict == .incomplete, note)
            case .request, .response: #expect(verdict == whole, note)
            case .refused:
                // Other limits may be passed first when bytes come one by one; it is refused all the same, unless the
                // head has not ended and what is wrong stands in a field.
                if case .refused = verdict { break }
                #expect(verdict == .incomplete && !Self.hasBlankLine(bytes), note)
                #expect(count == bytes.count, note)
            }
        }
    }

    private static func hasBlankLine(_ bytes: [UInt8]) -> Bool {
        let text = bytes.starts(with: [0x0D, 0x0A]) ? bytes.dropFirst(2) : bytes[...]
        return text.indices.contains { text[$0...].starts(with: [0x0D, 0x0A, 0x0D, 0x0A]) }
    }

    private static func head(_ kind: Kind, _ random: inout SplitMix) -> [UInt8] {
        var text: String
        switch kind {
        case .request:
            text = random.below(6) == 0 ? "\r\n" : ""
            text += "GET /\(String(repeating: "p", count: random.below(40))) HTTP/1.\(random.below(2))\r\nHost: h\r\n"
        case .response: text = "HTTP/1.1 200 \(String(repeating: "r", count: random.below(40)))\r\n"
        }
        for _ in 0..<random.below(7) {
            text += "X\(random.below(9)):\t\(String(repeating: "v", count: random.below(30)))\r\n"
        }
        return Array((text + "\r\n" + ["", "GET / HTTP/1.1\r\n\r\n", "\r\n\r\n"][random.below(3)]).utf8)
    }
}

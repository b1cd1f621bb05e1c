import HTTPWire
import Testing

/// What a head says beside its framing.
@Suite("Details of heads")
struct HeadDetailTests {
    private func request(_ start: String, _ fields: String) throws -> (head: RequestHead, bytes: [UInt8]) {
        let bytes = Parsing.bytes("\(start)\r\nHost: h\r\n\(fields)\r\n")
        var table = FieldTable()
        let head = try HeadParser.request(bytes.span, limits: Parsing.limits, fields: &table)
        return (try #require(head), bytes)
    }

    private func text(_ range: ByteRange, _ bytes: [UInt8]) -> String {
        String(decoding: bytes[Int(range.lower)..<Int(range.upper)], as: UTF8.self)
    }

    @Test(
        "Each fault has its status and a word of its own",
        arguments: [
            (.requestLineTooLong, 414, "request-line-too-long"), (.headTooLarge, 431, "header-block-too-large"),
            (.tooManyFields, 431, "too-many-header-fields"), (.versionNotSupported, 505, "version-not-supported"),
            (.expectationFailed, 417, "expectation-failed"), (.malformed(.bareLF), 400, "bare-lf"),
        ] as [(HeadError, UInt16, String)])
    func faults(fault: HeadError, status: UInt16, word: String) {
        #expect(fault.status == status && fault.reason == word)
    }

    @Test("Of several Upgrade fields the first is the wish; empty ones are none")
    func upgrade() throws {
        for (fields, wish) in [
            ("Upgrade: one\r\nUpgrade: two\r\n", "one"), ("Upgrade:\r\nUpgrade: two\r\nUpgrade: three\r\n", "two"),
        ] {
            let (head, bytes) = try self.request("GET / HTTP/1.1", "Connection: upgrade\r\n" + fields)
            #expect(head.wantsUpgrade && self.text(head.upgrade, bytes) == wish)
        }
    }

    @Test("HTTP/1.0 knows neither upgrades nor expectations")
    func oldVersion() throws {
        let fields = "Connection: upgrade\r\nUpgrade: websocket\r\nExpect: 100-continue\r\nContent-Length: 1\r\n"
        let (old, _) = try self.request("PUT / HTTP/1.0", fields)
        #expect(!old.wantsUpgrade && !old.expectContinue)
        let (new, _) = try self.request("PUT / HTTP/1.1", fields)
        #expect(new.wantsUpgrade && new.expectContinue)
    }

    @Test("close is mightier than keep-alive, whatever the version and the order")
    func persistence() throws {
        for version in ["HTTP/1.0", "HTTP/1.1"] {
            for fields in [
                "Connection: keep-alive, close\r\n", "Connection: close, keep-alive\r\n",
                "Connection: keep-alive\r\nConnection: close\r\n",
            ] {
                #expect(try !self.request("GET / \(version)", fields).head.persistent, "\(version) \(fields)")
            }
        }
    }

    @Test("A client of HTTP/1.0 that asks to be kept is kept, whatever else the field names")
    func keptOldVersion() throws {
        for fields in [
            "Connection: keep-alive\r\n", "Connection: Keep-Alive, X\r\n", "Connection: X, keep-alive\r\n",
            "Connection: X\r\nConnection: keep-alive\r\n",
        ] {
            #expect(try self.request("GET / HTTP/1.0", fields).head.persistent, "\(fields)")
        }
        #expect(try !self.request("GET / HTTP/1.0", "Connection: X\r\n").head.persistent)
    }

    @Test("An option that differs from a known one in a letter, or ends sooner or later, is another option")
    func neighbouringOptions() throws {
        func others(of option: String) -> [String] {
            let bytes = Array(option.utf8)
            return bytes.indices.map { String(decoding: bytes[..<$0] + [0x71] + bytes[($0 + 1)...], as: UTF8.self) }
                + [String(option.dropLast()), option + "q", "q" + option]
        }
        for form in ["Connection: #\r\n", "Connection: x, #\r\n"] {
            for option in others(of: "keep-alive") {
                let fields = form.replacing("#", with: option)
                #expect(try !self.request("GET / HTTP/1.0", fields).head.persistent, "\(fields)")
            }
            for option in others(of: "close") {
                let fields = form.replacing("#", with: option)
                #expect(try self.request("GET / HTTP/1.1", fields).head.persistent, "\(fields)")
            }
            for option in others(of: "upgrade") {
                let fields = form.replacing("#", with: option) + "Upgrade: websocket\r\n"
                #expect(try !self.request("GET / HTTP/1.1", fields).head.wantsUpgrade, "\(fields)")
            }
        }
    }

    @Test("Of several Max-Forwards the least counts; what is no number says nothing, and no number is too large")
    func maxForwards() throws {
        for (values, expected) in [
            (["5"], 5), (["5", "3"], 3), (["3", "5"], 3), (["x", "4"], 4), (["4", "-1"], 4), ([""], nil), (["3x"], nil),
            (["4294967295"], .max), (["4294967296"], .max), (["99999999999999999999"], .max), (["007"], 7),
        ] as [([String], UInt32?)] {
            let fields = values.map { "Max-Forwards: \($0)\r\n" }.joined()
            #expect(try self.request("OPTIONS / HTTP/1.1", fields).head.maxForwards == expected, "\(values)")
        }
    }

    @Test("Lengths up to what a signed word holds, and not one beyond")
    func lengths() {
        func verdict(_ length: String) -> Verdict {
            Parsing.request(Parsing.bytes("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(length)\r\n\r\n"))
        }
        for length in ["9223372036854775807", "0000000000000000005", "1000000000000000000"] {
            guard case .request(let text) = verdict(length), let value = UInt64(length) else {
                Issue.record("\(length) is refused")
                continue
            }
            #expect(text.contains(" length(\(value)) "))
        }
        for length in ["9223372036854775808", "18446744073709551616", "00000000000000000005", "9999999999999999999"] {
            #expect(verdict(length) == .refused(.malformed(.badContentLength)), "\(length)")
        }
    }

    @Test("An address in brackets has at least two bytes", arguments: ["[]", "[:]", "[1]", "[::1", "[::1]x", "[::g]"])
    func hosts(host: String) {
        let verdict = Parsing.request(Parsing.bytes("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n"))
        #expect(verdict == .refused(.malformed(.badHost)))
        #expect(Parsing.request(Parsing.bytes("GET / HTTP/1.1\r\nHost: [::]\r\n\r\n")) != verdict)
    }

    @Test("A response upgrades only if it says so twice")
    func upgradingResponse() throws {
        for (fields, expected) in [
            ("Connection: upgrade\r\nUpgrade: websocket\r\n", true), ("Upgrade: websocket\r\n", false),
            ("Connection: upgrade\r\n", false), ("Connection: close\r\nUpgrade: websocket\r\n", false),
        ] {
            let bytes = Parsing.bytes("HTTP/1.1 101 Switching Protocols\r\n\(fields)\r\n")
            var table = FieldTable()
            let head = try HeadParser.response(bytes.span, to: .get, limits: Parsing.limits, fields: &table)
            #expect(try #require(head).hasUpgrade == expected, "\(fields)")
        }
    }

    @Test("A request line that is too long is found as soon behind an empty line as without one")
    func longLine() {
        let limits = HeadLimits(requestLine: 48, bytes: 4_096, count: 5)
        for start in ["", "\r\n"] {
            let bytes = Parsing.bytes(start + "GET /" + String(repeating: "a", count: 1_000))
            var scan = HeadScan()
            var found: Int?
            for count in 1...bytes.count where found == nil {
                let present = Array(bytes[..<count])
                guard scan.mayBeComplete(present.span, limits: limits) else { continue }
                if Parsing.request(present, limits: limits) != .incomplete { found = count }
            }
            #expect(found.map { $0 <= start.utf8.count + 50 } == true, "\(start.debugDescription): \(found ?? -1)")
        }
    }

    @Test("Blanks behind a chunk's size count as its extension", arguments: [MessageSide.request, .response])
    func paddedChunks(side: MessageSide) {
        func error(_ text: String) -> ChunkError? {
            var bytes = Parsing.bytes(text)
            var frames = [UInt8](repeating: 0, count: BodyFrames.room(trailerLimit: 64))
            var reader = BodyReader(.chunked, of: side, extensionLimit: 8, trailerLimit: 64)
            do throws(ChunkError) {
                _ = try bytes.withUnsafeMutableBufferPointer { bytes throws(ChunkError) in
                    try frames.withUnsafeMutableBufferPointer { frames throws(ChunkError) in
                        try reader.take(
                            UnsafeMutableRawBufferPointer(bytes), frames: UnsafeMutableRawBufferPointer(frames),
                            trailers: TrailerRules())
                    }
                }
            } catch { return error }
            return nil
        }
        for count in 0...7 { #expect(error("1\(String(repeating: " ", count: count));a\r\nx") == nil, "\(count)") }
        for count in [8, 9, 100] {
            #expect(error("1\(String(repeating: "\t", count: count));a\r\nx") == .extensionTooLong, "\(count)")
        }
        guard side == .response else { return }
        #expect(error("1        \r\nx") == nil)
        #expect(error("1         \r\nx") == .extensionTooLong)
    }
}

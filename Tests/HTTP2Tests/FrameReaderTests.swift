import HTTP2
import Testing

/// RFC 9113 4 and 6: every form of every frame, whole and cut at each byte.
@Suite struct FrameReaderTests {
    private func read(_ bytes: [UInt8], blockLimit: Int = 32_768) throws(ConnectionFault) -> (Frame, Int)? {
        var result: (Frame, Int)?
        var fault: ConnectionFault?
        bytes.withUnsafeBytes { bytes in
            do throws(ConnectionFault) {
                result = try FrameReader.next(bytes, blockLimit: blockLimit).map { ($0.frame, $0.consumed) }
            } catch { fault = error }
        }
        if let fault { throw fault }
        return result
    }

    private func fault(_ bytes: [UInt8]) -> ConnectionFault? {
        do throws(ConnectionFault) {
            _ = try self.read(bytes)
            return nil
        } catch { return error }
    }

    private static let whole: [([UInt8], Frame)] = [
        (Bytes.data(1, 5, isEnd: true), .data(stream: 1, content: 9..<14, flow: 5, isEnd: true)),
        (Bytes.data(3, 0), .data(stream: 3, content: 9..<9, flow: 0, isEnd: false)),
        // Two bytes of content, two of padding and one that says so.
        (
            Bytes.frame(FrameType.data, flags: 8, stream: 1, [2, 0x61, 0x62, 0, 0]),
            .data(stream: 1, content: 10..<12, flow: 5, isEnd: false)
        ),
        (
            Bytes.headers(1, Bytes.get),
            .headers(HeaderBlock(stream: 1, isEnd: true, first: 9..<15, continuations: 15..<15))
        ),
        // Padding and priority around one byte of a block.
        (
            Bytes.frame(FrameType.headers, flags: 0x2C, stream: 5, [1, 0, 0, 0, 0, 16, 0x82, 0]),
            .headers(HeaderBlock(stream: 5, isEnd: false, first: 15..<16, continuations: 17..<17))
        ),
        (
            Bytes.frame(FrameType.headers, flags: 1, stream: 1, [0x82])
                + Bytes.frame(FrameType.continuation, stream: 1, [0x86])
                + Bytes.frame(FrameType.continuation, flags: 4, stream: 1, []),
            .headers(HeaderBlock(stream: 1, isEnd: true, first: 9..<10, continuations: 10..<29))
        ),
        (Bytes.frame(FrameType.priority, stream: 9, [0, 0, 0, 0, 1]), .priority(stream: 9)),
        (
            Bytes.frame(FrameType.priority, stream: 9, [0, 0, 0, 0]), .malformed(stream: 9, code: .frameSizeError)
        ),
        (Bytes.reset(1, 7), .reset(stream: 1, code: .refusedStream)),
        (Bytes.settings([(3, 100)]), .settings(entries: 9..<15)),
        (Bytes.settingsAcknowledged, .settingsAcknowledged),
        (Bytes.ping(7), .ping(7, isAcknowledgement: false)),
        (Bytes.ping(7, isAcknowledgement: true), .ping(7, isAcknowledgement: true)),
        (
            Bytes.frame(FrameType.goAway, Bytes.word(0x8000_0005) + Bytes.word(2) + [1, 2]),
            .goAway(last: 5, code: .internalError)
        ),
        (Bytes.windowUpdate(0, 0x8000_0001), .windowUpdate(stream: 0, increment: 1)),
        (Bytes.windowUpdate(3, 0), .malformed(stream: 3, code: .protocolError)),
        (Bytes.frame(FrameType.priorityUpdate, [0x80, 0, 0, 1, 0x75]), .priorityUpdate(stream: 1, value: 13..<14)),
        (Bytes.frame(FrameType.priorityUpdate, [0, 0, 0, 1]), .priorityUpdate(stream: 1, value: 13..<13)),
        (Bytes.frame(0x7F, flags: 0xFF, stream: 77, [1, 2, 3]), .unknown),
    ]

    @Test func eachFrameIsFoundWithItsLastByte() throws {
        for (bytes, frame) in Self.whole {
            for count in 0..<bytes.count {
                #expect(try self.read(Array(bytes[..<count])) == nil, "\(frame) found in \(count) of its bytes")
            }
            let found = try self.read(bytes + [0xAA])
            #expect(found?.0 == frame)
            #expect(found?.1 == bytes.count)
        }
    }

    private static let broken: [([UInt8], ErrorCode)] = [
        // A frame longer than SETTINGS_MAX_FRAME_SIZE (4.2).
        ([0, 0x40, 1, 0, 0, 0, 0, 0, 1], .frameSizeError),
        ([0xFF, 0xFF, 0xFF, 0x7F, 0, 0, 0, 0, 1], .frameSizeError),
        // Streams that a type must, or must not, have (6.1–6.9).
        (Bytes.data(0, 1), .protocolError), (Bytes.headers(0, Bytes.get), .protocolError),
        (Bytes.frame(FrameType.priority, [0, 0, 0, 0, 1]), .protocolError), (Bytes.reset(0), .protocolError),
        (Bytes.frame(FrameType.settings, stream: 1), .protocolError),
        (Bytes.frame(FrameType.ping, stream: 1, [0, 0, 0, 0, 0, 0, 0, 0]), .protocolError),
        (Bytes.frame(FrameType.goAway, stream: 1, [0, 0, 0, 0, 0, 0, 0, 0]), .protocolError),
        (Bytes.frame(FrameType.priorityUpdate, stream: 1, [0, 0, 0, 1]), .protocolError),
        // Sizes.
        (Bytes.frame(FrameType.reset, stream: 1, [0, 0, 0]), .frameSizeError),
        (Bytes.frame(FrameType.settings, [0, 0, 0, 0, 0]), .frameSizeError),
        (Bytes.frame(FrameType.settings, flags: 1, [0, 0, 0, 0, 0, 0]), .frameSizeError),
        (Bytes.frame(FrameType.ping, [0]), .frameSizeError), (Bytes.frame(FrameType.goAway, [0]), .frameSizeError),
        (Bytes.frame(FrameType.windowUpdate, [0, 0, 1]), .frameSizeError),
        (Bytes.frame(FrameType.priorityUpdate, [0, 0, 1]), .frameSizeError),
        (Bytes.windowUpdate(0, 0), .protocolError),
        // Padding as long as what is left (6.1), or no room for what the flags announce.
        (Bytes.frame(FrameType.data, flags: 8, stream: 1, [1]), .protocolError),
        (Bytes.frame(FrameType.data, flags: 8, stream: 1, []), .frameSizeError),
        (Bytes.frame(FrameType.headers, flags: 0x0C, stream: 1, [5, 0x82, 0, 0, 0]), .protocolError),
        (Bytes.frame(FrameType.headers, flags: 0x24, stream: 1, [0, 0, 0, 0]), .frameSizeError),
        // What a client must not send, and what stands alone (6.6, 6.10).
        (Bytes.frame(FrameType.pushPromise, flags: 4, stream: 1, [0, 0, 0, 2, 0x82]), .protocolError),
        (Bytes.frame(FrameType.continuation, flags: 4, stream: 1, [0x82]), .protocolError),
        // Nothing may stand inside a block (6.2).
        (Bytes.frame(FrameType.headers, stream: 1, [0x82]) + Bytes.ping(), .protocolError),
        (
            Bytes.frame(FrameType.headers, stream: 1, [0x82])
                + Bytes.frame(FrameType.continuation, flags: 4, stream: 3, [0x86]), .protocolError
        ),
        (
            Bytes.frame(FrameType.headers, stream: 1, [0x82])
                + [0, 0x40, 1, FrameType.continuation, 4, 0, 0, 0, 1], .frameSizeError
        ),
    ]

    @Test func whatIsNoFrameEndsTheConnection() {
        for (bytes, code) in Self.broken { #expect(self.fault(bytes) == ConnectionFault(code), "\(bytes)") }
    }

    /// What the nine bytes tell is said before the payload comes: nothing is collected for it.
    @Test func aFaultInTheHeaderIsFoundInTheHeader() {
        #expect(self.fault([0, 0x40, 1, 0, 0, 0, 0, 0, 1]) == ConnectionFault(.frameSizeError))
        #expect(self.fault([0, 0, 9, FrameType.ping, 0, 0, 0, 0, 0]) == ConnectionFault(.frameSizeError))
        #expect(self.fault([0, 0, 8, FrameType.ping, 0, 0, 0, 0, 1]) == ConnectionFault(.protocolError))
    }

    @Test func aBlockHasEightContinuationsAndNoMore() throws {
        func block(_ count: Int) -> [UInt8] {
            Bytes.frame(FrameType.headers, stream: 1, [0x82])
                + (0..<count).flatMap {
                    Bytes.frame(FrameType.continuation, flags: $0 == count - 1 ? 4 : 0, stream: 1, [])
                }
        }
        #expect(try self.read(block(8)) != nil)
        #expect(self.fault(block(9)) == ConnectionFault(.continuations))
        // An endless one is refused without its end.
        #expect(self.fault(Array(block(10)[..<100])) == ConnectionFault(.continuations))
    }

    @Test func aBlockIsBoundedInBytes() {
        let big = [UInt8](repeating: 0, count: 600)
        let bytes = Bytes.frame(FrameType.headers, stream: 1, big) + Bytes.frame(FrameType.continuation, stream: 1, big)
        #expect(throws: ConnectionFault(.fields)) { _ = try self.read(bytes, blockLimit: 1_000) }
    }

    @Test func thePrefaceIsToldFromHTTP1() {
        let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        func match(_ bytes: [UInt8]) -> Preface.Match { bytes.withUnsafeBytes { Preface.match($0) } }
        for count in 0..<24 { #expect(match(Array(preface[..<count])) == .part) }
        #expect(match(preface) == .whole)
        #expect(match(preface + [0]) == .whole)
        #expect(match(Array("PRI * HTTP/1.1\r\n".utf8)) == .other)
        #expect(match(Array("PUT / HTTP/1.1\r\n".utf8)) == .other)
        #expect(match(Array("G".utf8)) == .other)
    }
}

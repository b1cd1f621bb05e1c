import TestSupport
import Testing

@testable import HTTPWire

/// The searches by blocks against the plain sets, wherever a byte stands.
@Suite("Searches")
struct ByteScanTests {
    private func first(_ bytes: [UInt8], from start: Int, where wanted: (UInt8) -> Bool) -> Int {
        bytes.indices.dropFirst(start).first { wanted(bytes[$0]) } ?? bytes.count
    }

    private func isToken(_ byte: UInt8) -> Bool {
        (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) || (byte >= 0x30 && byte <= 0x39)
            || "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }

    private func isHostName(_ byte: UInt8) -> Bool {
        (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) || (byte >= 0x30 && byte <= 0x39) || byte == 0x2D || byte == 0x2E
    }

    /// An expectation for each would take longer than all the searches.
    private func check(_ bytes: [UInt8], from start: Int) {
        let span = bytes.span
        let control = ByteScan.control(span, from: start)
        #expect(control == self.first(bytes, from: start) { ($0 < 0x20 && $0 != 0x09) || $0 == 0x7F })
        let target = ByteScan.targetEnd(span, from: start)
        #expect(target == self.first(bytes, from: start) { $0 <= 0x20 || $0 >= 0x7F || $0 == 0x23 })
        let token = ByteScan.tokenEnd(span, from: start)
        let tokenEnd = self.first(bytes, from: start) { !self.isToken($0) }
        #expect(token.end == tokenEnd)
        if start <= tokenEnd { #expect(token.hasUnderscore == bytes[start..<tokenEnd].contains(0x5F)) }
        let host = ByteScan.hostNameEnd(span, from: start)
        #expect(host == self.first(bytes, from: start) { !self.isHostName($0) })
    }

    @Test("Every byte at every place of a block, in text of every length up to three blocks")
    func everyByte() {
        for byte in UInt8.min...UInt8.max {
            for (length, place) in [
                (1, 0), (7, 6), (8, 0), (15, 7), (16, 8), (16, 15), (17, 16), (24, 20), (33, 16), (48, 47),
            ] {
                var bytes = [UInt8](repeating: 0x61, count: length)
                bytes[place] = byte
                self.check(bytes, from: 0)
                self.check(bytes, from: place)
            }
        }
    }

    @Test("Random bytes from random places", arguments: 0..<4 as Range<UInt64>)
    func random(seed: UInt64) {
        var random = SplitMix(seed)
        for _ in 0..<3_000 {
            let rare = random.below(3) == 0
            let bytes = (0..<random.below(50)).map { _ in
                rare || random.below(20) == 0 ? UInt8(random.below(256)) : UInt8(0x61 + random.below(26))
            }
            let start = random.below(bytes.count + 2)
            self.check(bytes, from: start)
            let lower = random.below(bytes.count + 1)
            let upper = lower + random.below(bytes.count - lower + 1)
            let byte = UInt8(random.below(128))
            let found = ByteScan.find(byte, in: bytes.span, lower..<upper)
            #expect(found == bytes[lower..<upper].firstIndex(of: byte) ?? upper)
        }
    }

    @Test("Words of a text that ends anywhere")
    func words() {
        let bytes = Array("abcdefghij".utf8)
        for lower in 0...bytes.count {
            for count in 0...min(8, bytes.count - lower) {
                var wanted: UInt64 = 0
                for index in 0..<count { wanted |= UInt64(bytes[lower + index]) << UInt64(8 * index) }
                let word = ASCII.word(bytes.span, at: lower, count: count)
                #expect(word == wanted)
            }
        }
        #expect(ASCII.word("abc") == 0x63_6261)
    }
}

import HTTPWire
import Testing

@Suite("Writing")
struct ByteWriterTests {
    private func write(capacity: Int = 256, _ body: (inout ByteWriter) -> Void) -> (text: String, overflowed: Bool) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 1)
        defer { buffer.deallocate() }
        var writer = ByteWriter(buffer)
        body(&writer)
        return (String(decoding: buffer[..<writer.count], as: UTF8.self), writer.overflowed)
    }

    @Test(
        "Numbers",
        arguments: [
            (0, "0", "0"), (9, "9", "9"), (10, "10", "a"), (255, "255", "ff"), (4_096, "4096", "1000"),
            (UInt64.max, "18446744073709551615", "ffffffffffffffff"),
        ] as [(UInt64, String, String)])
    func numbers(value: UInt64, decimal: String, hex: String) {
        #expect(self.write { $0.append(decimal: value) }.text == decimal)
        #expect(self.write { $0.append(hex: value) }.text == hex)
        #expect(self.write { $0.append(paddedHex: value) }.text == String(repeating: "0", count: 16 - hex.count) + hex)
    }

    @Test("Nothing is written past the end, and it is said")
    func overflow() {
        let exact = self.write(capacity: 5) { $0.append("hello") }
        #expect(exact.text == "hello" && !exact.overflowed)
        let over = self.write(capacity: 5) { writer in
            writer.append("hel")
            writer.append("loo")
            writer.append("x")
        }
        #expect(over.overflowed)
        // Nor is anything behind what did not fit, although it would.
        #expect(over.text == "hel")
    }
}

import Testing

@testable import Documents

@Suite("BSON")
struct BSONTests {
    private static let everyType = """
        {"a":1.5,"b":"text","c":{"x":1},"d":[1,"two",null],"e":{"$binary":[1,2,3]},"f":{"$undefined":true},
         "g":{"$oid":"0123456789abcdef01234567"},"h":true,"i":{"$date":-1},"j":null,"k":{"$regex":true},
         "l":{"$long":"9007199254740993"},"m":{"$timestamp":"7"},"n":{"$decimal":["3476778912330022912","5"]},
         "o":{"$minKey":true},"p":{"$maxKey":true},"q":7}
        """

    private static func names(_ bytes: [UInt8]) throws(BSONError) -> [String] {
        let span = bytes.span
        var scanner = try BSONScanner(document: 0, in: span)
        var names: [String] = []
        while let element = try scanner.next(in: span) { names.append(span.text(in: element.name)) }
        return names
    }

    private static func numbers(_ batch: DocumentBatch) throws(BSONError) -> [Double] {
        let span = batch.bytes.span
        var numbers: [Double] = []
        for start in batch.starts {
            if let element = try span.element("n", inDocument: start) {
                numbers.append(span.number(of: element) ?? .nan)
            }
        }
        return numbers
    }

    @Test func everyTypeIsWalkedInStoredOrder() throws {
        let batch = try ExtendedJSON.batch([Self.everyType])
        #expect(try Self.names(batch.bytes).joined() == "abcdefghijklmnopq")
    }

    /// A reader that believed a length would read past the end: every cut must be an error and never a trap.
    @Test func everyTruncationIsRefused() throws {
        let bytes = try ExtendedJSON.batch([Self.everyType]).bytes
        for length in 0..<bytes.count {
            #expect(throws: BSONError.self) { try Self.names(Array(bytes[..<length])) }
        }
    }

    /// Each byte in turn takes hostile values. The walk may end in names or in an error, but it must end.
    @Test func noSingleByteCanTrapTheWalk() throws {
        let bytes = try ExtendedJSON.batch([Self.everyType]).bytes
        var refused = 0
        for index in bytes.indices {
            for value: UInt8 in [0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF] {
                var hostile = bytes
                hostile[index] = value
                do { _ = try Self.names(hostile) } catch { refused += 1 }
                _ = try? Matcher.matches([Criterion("c.x", .equals(.number(1)))], document: 0, in: hostile.span)
            }
        }
        #expect(refused > 100)
    }

    @Test func numbersAreStoredAsJavaScriptsDriverStoresThem() throws {
        let bytes = try ExtendedJSON.batch([#"{"a":1,"b":2147483648,"c":0.5,"d":-2147483648,"e":1731499200000}"#]).bytes
        let span = bytes.span
        var types: [BSONType] = []
        var scanner = try BSONScanner(document: 0, in: span)
        while let element = try scanner.next(in: span) { types.append(element.type) }
        #expect(types == [.int32, .double, .double, .int32, .double])
    }

    @Test func aBatchKnowsItsDocuments() throws {
        var batch = try ExtendedJSON.batch([#"{"n":1}"#, #"{"n":2}"#, #"{"n":3}"#])
        #expect(batch.count == 3)
        let picked = batch.picking([2, 0])
        #expect(try Self.numbers(picked) == [3, 1])
        batch.removeLast()
        #expect(try Self.numbers(batch) == [1, 2])
        #expect(throws: BSONError.self) { try DocumentBatch(Array(batch.bytes.dropLast())) }
    }

    @Test(
        "Decimal128 prints as the specification's table has it",
        arguments: [
            (0x3040_0000_0000_0000, 1, "1"), (0xB040_0000_0000_0000, 1, "-1"), (0x303E_0000_0000_0000, 1, "0.1"),
            (0x3034_0000_0000_0000, 1234, "0.001234"), (0x3040_0000_0000_0000, 0, "0"),
            (0x3042_0000_0000_0000, 1, "1E+1"),
            (0x302C_0000_0000_0000, 1, "1E-10"), (0x7C00_0000_0000_0000, 0, "NaN"),
            (0x7800_0000_0000_0000, 0, "Infinity"),
            (0xF800_0000_0000_0000, 0, "-Infinity"),
            (0x3040_FFFF_FFFF_FFFF, UInt64.max, "5192296858534827628530496329220095"),
            (0x3028_0000_0000_0000, 12_345_678_901_234_567, "12345.678901234567"),
        ] as [(UInt64, UInt64, String)])
    func decimalText(high: UInt64, low: UInt64, text: String) {
        #expect(Decimal128(low: low, high: high).text == text)
    }
}

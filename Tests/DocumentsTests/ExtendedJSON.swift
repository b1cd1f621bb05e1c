@testable import Documents

/// Documents for tests, written as JSON with marks for what JSON has no words for: `{"$oid": hex}`, `{"$long": text}`,
/// `{"$double": number}`, `{"$date": milliseconds}`, `{"$decimal": [high, low]}` (decimal text of both words),
/// `{"$binary": [bytes]}`, `{"$nan": true}`, `{"$infinity": true}`, `{"$undefined": true}`, `{"$minKey": true}`,
/// `{"$maxKey": true}`, `{"$timestamp": text}`, `{"$regex": true}`.
enum ExtendedJSON {
    /// - Parameter identified: gives documents without an `_id` one that ``withoutGivenIdentities(_:)`` finds again. A
    ///   MongoDB server stores none without.
    static func batch(_ documents: [String], identified: Bool = false) throws -> DocumentBatch {
        var writer = BSONWriter()
        for (index, text) in documents.enumerated() {
            let value = try JSONParser.parse(Array(text.utf8))
            guard case .object(let members) = value else { throw JSONSyntaxError(offset: 0, message: "no object") }
            writer.document { writer in
                if identified, value[key: "_id"] == nil { writer.objectID("_id", .max, UInt64(index)) }
                for member in members { write(member.key, member.value, &writer) }
            }
        }
        return try DocumentBatch(writer.bytes)
    }

    /// JSON without the identities that `batch(identified:)` made up.
    static func withoutGivenIdentities(_ json: String) -> String {
        json.replacing(#/"_id":"ffffffff[0-9a-f]{16}",?/#, with: "")
    }

    private static func write(_ name: String, _ value: JSONValue, _ writer: inout BSONWriter) {
        switch value {
        case .null: writer.null(name)
        case .bool(let flag): writer.bool(name, flag)
        case .number(let number): writer.number(name, number)
        case .string(let text): writer.string(name, text)
        case .array(let items):
            writer.array(name, count: items.count) { writer, index, key in write(key, items[index], &writer) }
        case .object(let members):
            if members.count == 1, members[0].key.hasPrefix("$"), special(name, members[0], &writer) { return }
            writer.subdocument(name) { writer in for member in members { write(member.key, member.value, &writer) } }
        }
    }

    private static func special(_ name: String, _ mark: JSONValue.Member, _ writer: inout BSONWriter) -> Bool {
        switch mark.key {
        case "$oid": writer.raw(.objectID, name, hexadecimal(mark.value.string ?? ""))
        case "$long": writer.int64(name, Int64(mark.value.string ?? "") ?? 0)
        case "$double": writer.double(name, mark.value.number ?? 0)
        case "$nan": writer.double(name, .nan)
        case "$infinity": writer.double(name, .infinity)
        case "$date": writer.date(name, Int64(mark.value.number ?? 0))
        case "$undefined": writer.raw(.undefined, name, [])
        case "$minKey": writer.raw(.minKey, name, [])
        case "$maxKey": writer.raw(.maxKey, name, [])
        case "$timestamp": writer.raw(.timestamp, name, littleEndian(UInt64(mark.value.string ?? "") ?? 0))
        case "$regex": writer.raw(.regex, name, [0x61, 0, 0])
        case "$binary":
            guard case .array(let items) = mark.value else { return false }
            let bytes = items.map { UInt8($0.number ?? 0) }
            writer.raw(.binary, name, littleEndian(UInt32(bytes.count)) + [0] + bytes)
        case "$decimal":
            guard case .array(let words) = mark.value, words.count == 2 else { return false }
            let high = UInt64(words[0].string ?? "") ?? 0
            let low = UInt64(words[1].string ?? "") ?? 0
            writer.raw(.decimal128, name, littleEndian(low) + littleEndian(high))
        default: return false
        }
        return true
    }

    private static func hexadecimal(_ text: String) -> [UInt8] {
        let digits = text.compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
    }

    private static func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
}

/// The chunked coding, decoded slowly from bytes that are all there: what the incremental reader is held against.
enum ReferenceChunks {
    static let neverTrailers: Set<String> = ["host", "content-length", "trailer"]

    enum Outcome: Equatable {
        case whole(data: [UInt8], trailers: String, end: Int)
        case incomplete(data: [UInt8])
        case broken(data: [UInt8])
    }

    static func decode(
        _ bytes: [UInt8], isPaddingTaken: Bool, extensionLimit: Int, trailerLimit: Int
    ) -> Outcome {
        var data: [UInt8] = []
        var index = 0
        var excess = 0
        while true {
            // The size.
            var digits: [UInt8] = []
            while index < bytes.count, Character(Unicode.Scalar(bytes[index])).isHexDigit {
                digits.append(bytes[index])
                index += 1
                if Int(String(decoding: digits, as: UTF8.self), radix: 16) == nil || digits.count > 16 {
                    return .broken(data: data)
                }
            }
            guard index < bytes.count else { return .incomplete(data: data) }
            guard let size = Int(String(decoding: digits, as: UTF8.self), radix: 16) else { return .broken(data: data) }
            // Up to the line end.
            var extensionText: [UInt8] = []
            while index < bytes.count, bytes[index] != 0x0D {
                let byte = bytes[index]
                let blanksOnly = extensionText.allSatisfy { $0 == 0x20 || $0 == 0x09 }
                guard byte == 0x09 || (byte >= 0x20 && byte != 0x7F),
                    !blanksOnly || byte == 0x20 || byte == 0x09 || byte == 0x3B
                else { return .broken(data: data) }
                extensionText.append(byte)
                // The semicolon is no byte of an extension.
                if excess + Self.length(extensionText) > extensionLimit { return .broken(data: data) }
                index += 1
            }
            guard index < bytes.count else { return .incomplete(data: data) }
            if !extensionText.isEmpty, !extensionText.contains(0x3B), !isPaddingTaken { return .broken(data: data) }
            index += 1
            guard index < bytes.count else { return .incomplete(data: data) }
            guard bytes[index] == 0x0A else { return .broken(data: data) }
            index += 1
            excess += Self.length(extensionText)
            excess = max(0, excess - 16 - 2 * min(size, 1 << 40))
            if size == 0 { return Self.trailers(bytes, from: index, data: data, limit: trailerLimit) }
            // The data.
            let there = min(size, bytes.count - index)
            data += bytes[index..<index + there]
            index += there
            for wanted in [UInt8(0x0D), 0x0A] {
                guard index < bytes.count else { return .incomplete(data: data) }
                guard bytes[index] == wanted else { return .broken(data: data) }
                index += 1
            }
        }
    }

    private static func length(_ text: [UInt8]) -> Int {
        text.contains(0x3B) ? text.count - 1 : text.count
    }

    /// Nothing is judged before the blank line, but what no line may hold, and too much of it.
    private static func trailers(_ bytes: [UInt8], from start: Int, data: [UInt8], limit: Int) -> Outcome {
        var lines: [[UInt8]] = []
        var line: [UInt8] = []
        var index = start
        while index < bytes.count {
            let byte = bytes[index]
            if byte == 0x0D {
                guard index + 1 < bytes.count else { break }
                guard bytes[index + 1] == 0x0A else { return .broken(data: data) }
                index += 2
                if line.isEmpty {
                    return Self.whole(lines, bytes: index - 2 - start, end: index, data: data, limit: limit)
                }
                lines.append(line)
                line = []
                continue
            }
            guard byte == 0x09 || (byte >= 0x20 && byte != 0x7F) else { return .broken(data: data) }
            line.append(byte)
            index += 1
        }
        return bytes.count - start > limit + 2 ? .broken(data: data) : .incomplete(data: data)
    }

    private static func whole(_ lines: [[UInt8]], bytes: Int, end: Int, data: [UInt8], limit: Int) -> Outcome {
        guard bytes <= limit, lines.count <= 32 else { return .broken(data: data) }
        var text = ""
        for line in lines {
            guard let colon = line.firstIndex(of: 0x3A), colon > 0,
                line[..<colon].allSatisfy({ byte in
                    (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) || (byte >= 0x30 && byte <= 0x39)
                        || "!#$%&'*+-.^_`|~".utf8.contains(byte)
                })
            else { return .broken(data: data) }
            let name = String(decoding: line[..<colon], as: UTF8.self)
            var value = line[(colon + 1)...]
            while let last = value.last, last == 0x20 || last == 0x09 { value.removeLast() }
            while let first = value.first, first == 0x20 || first == 0x09 { value.removeFirst() }
            if Self.neverTrailers.contains(name.lowercased()) { continue }
            text += "\(name): \(String(decoding: value, as: UTF8.self))\r\n"
        }
        return .whole(data: data, trailers: text, end: end)
    }
}

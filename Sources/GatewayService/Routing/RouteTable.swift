/// Finds the route of a path. Fixed segments match in any letter case, parameters are decoded after matching.
package struct RouteTable: Sendable {
    /// A route and its parameters, decoded, in the order of the template.
    package struct Match: Sendable, Equatable {
        package let route: Route
        package let parameters: [String]
    }

    private struct Entry: Sendable {
        let route: Route
        /// Lower case; nil where a parameter stands.
        let segments: [[UInt8]?]
    }

    /// By number of segments, each in the order of registration.
    private let entries: [[Entry]]

    package init() {
        var entries: [[Entry]] = []
        for route in Route.allCases {
            let segments = route.template.split(separator: "/").map { segment -> [UInt8]? in
                segment.hasPrefix(":") ? nil : segment.utf8.map(\.lowercasedASCII)
            }
            while entries.count <= segments.count { entries.append([]) }
            entries[segments.count].append(Entry(route: route, segments: segments))
        }
        self.entries = entries
    }

    /// The first route that the path matches: the path as sent, without its query.
    package func match(_ path: some StringProtocol) -> Match? {
        guard path.utf8.first == UInt8(ascii: "/") else { return nil }
        let segments = path.utf8.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard segments.count < entries.count, !segments.contains(where: \.isEmpty) else { return nil }
        for entry in entries[segments.count] {
            var parameters: [String] = []
            let matches = zip(entry.segments, segments).allSatisfy { expected, actual in
                guard let expected else {
                    parameters.append(PercentDecoding.decode(actual))
                    return true
                }
                return expected.count == actual.count && zip(expected, actual).allSatisfy { $0 == $1.lowercasedASCII }
            }
            if matches { return Match(route: entry.route, parameters: parameters) }
        }
        return nil
    }
}

/// Percent-decoding of one path parameter.
enum PercentDecoding {
    /// The decoded text; the whole text as it was when any escape is malformed or the result is not UTF-8.
    static func decode(_ segment: some Collection<UInt8>) -> String {
        let raw = String(decoding: segment, as: UTF8.self)
        guard segment.contains(UInt8(ascii: "%")) else { return raw }
        var bytes: [UInt8] = []
        var iterator = segment.makeIterator()
        while let byte = iterator.next() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = iterator.next().flatMap(digit), let low = iterator.next().flatMap(digit) else {
                return raw
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self) ?? raw
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        Character(Unicode.Scalar(byte)).hexDigitValue.map { UInt8(truncatingIfNeeded: $0) }
    }
}

extension UInt8 {
    var lowercasedASCII: UInt8 { (0x41...0x5A).contains(self) ? self | 0x20 : self }
}

/// What the paths of one kind of request have in common: `/candidate/*` for `/candidate/5Grw…` and all others.
///
/// Segments that name a thing become `*`: those of digits only, UUIDs, 16 or more hexadecimal digits, and those of more than
/// 40 bytes. Names in a query are kept, sorted and once each; values are dropped, as they are their users' own.
package struct PathTemplate: Sendable {
    /// A template that an operator gave: `/candidate/*`, where `*` stands for one whole segment.
    package struct Pattern: Sendable, Equatable {
        package let text: String
        private let segments: [Substring]

        /// Nil unless the text is a path whose segments are whole words or `*`.
        package init?(_ text: String) {
            guard text.utf8.first == UInt8(ascii: "/"), text.utf8.count <= PathTemplate.lengthLimit,
                text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") })
            else { return nil }
            self.text = text
            self.segments = PathTemplate.segments(text[...])
            guard self.segments.allSatisfy({ $0 == "*" || !$0.utf8.contains(UInt8(ascii: "*")) }) else { return nil }
        }

        fileprivate func matches(_ path: [Substring]) -> Bool {
            guard path.count == self.segments.count else { return false }
            return zip(self.segments, path).allSatisfy { $0 == "*" || $0 == $1 }
        }
    }

    /// Bytes of a template; longer ones are `rest`.
    package static let lengthLimit = 512
    /// What has no template of its own: paths that are too long, and those beyond the number of templates.
    package static let rest = "…"

    private let patterns: [Pattern]

    package init(patterns: [Pattern] = []) { self.patterns = patterns }

    /// The template of a request's target, which is a path with or without a query, as it was received.
    package func template(_ target: String) -> String {
        let end = target.utf8.firstIndex(of: UInt8(ascii: "?")) ?? target.utf8.endIndex
        let segments = Self.segments(target[..<end])
        var text = self.patterns.first { $0.matches(segments) }?.text ?? ""
        if text.isEmpty {
            for segment in segments {
                text += "/"
                text += Self.isName(segment) ? "*" : segment
                guard text.utf8.count <= Self.lengthLimit else { return Self.rest }
            }
        }
        if end < target.utf8.endIndex {
            let names = Self.queryNames(target[target.utf8.index(after: end)...])
            if !names.isEmpty { text += "?" + names.joined(separator: "&") }
        }
        return text.utf8.count <= Self.lengthLimit ? text : Self.rest
    }

    private static func segments(_ path: Substring) -> [Substring] {
        let path = path.utf8.first == UInt8(ascii: "/") ? path.dropFirst() : path
        return path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map { Substring($0) }
    }

    /// Whether a segment names one of many things.
    private static func isName(_ segment: Substring) -> Bool {
        let bytes = segment.utf8
        if bytes.isEmpty { return false }
        if bytes.count > 40 { return true }
        var digits = 0
        var hexadecimal = 0
        for byte in bytes {
            switch byte {
            case 0x30...0x39:
                digits += 1
                hexadecimal += 1
            case 0x41...0x46, 0x61...0x66: hexadecimal += 1
            default: break
            }
        }
        return digits == bytes.count || (hexadecimal == bytes.count && bytes.count >= 16) || self.isUUID(segment)
    }

    /// RFC 9562 §4: five groups of hexadecimal digits.
    private static func isUUID(_ segment: Substring) -> Bool {
        guard segment.utf8.count == 36 else { return false }
        for (position, byte) in segment.utf8.enumerated() {
            switch position {
            case 8, 13, 18, 23: guard byte == UInt8(ascii: "-") else { return false }
            default:
                switch byte {
                case 0x30...0x39, 0x41...0x46, 0x61...0x66: break
                default: return false
                }
            }
        }
        return true
    }

    private static func queryNames(_ query: Substring) -> [String] {
        var names: Set<String> = []
        for pair in query.utf8.split(separator: UInt8(ascii: "&")) {
            names.insert(String(Substring(pair.prefix { $0 != UInt8(ascii: "=") })))
        }
        return names.sorted()
    }
}

/// The templates of one route, a bounded number: whoever invents paths fills no memory.
package struct TemplateSet: Sendable {
    package static let limit = 512
    package private(set) var known: Set<String> = []

    package init() {}

    /// The template itself if it is known or there is room for it, else `PathTemplate.rest`.
    package mutating func admit(_ template: String) -> String {
        if self.known.contains(template) { return template }
        guard self.known.count < Self.limit else { return PathTemplate.rest }
        self.known.insert(template)
        return template
    }
}

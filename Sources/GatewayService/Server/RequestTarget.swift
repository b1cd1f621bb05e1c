/// The path of a request as it was sent: nothing decoded, nothing normalised, no query.
enum RequestTarget {
    static func path(_ target: String) -> Substring {
        var rest = target[...]
        if rest.utf8.first != UInt8(ascii: "/"), let scheme = rest.firstRange(of: "://") {
            // Absolute form: the path begins after the authority.
            rest = rest[scheme.upperBound...]
            guard let slash = rest.utf8.firstIndex(where: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }) else {
                return "/"
            }
            rest = rest[slash...]
            if rest.utf8.first == UInt8(ascii: "?") { return "/" }
        }
        let end = rest.utf8.firstIndex { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") } ?? rest.endIndex
        return rest[..<end]
    }
}

import Traffic

/// Reads which fields a route sets and removes.
enum HeaderEditsReader {
    static func read(_ node: Node) -> HeaderEdits? {
        guard let section = node.section(.headerEdits) else { return nil }
        var edits = HeaderEdits()
        var seen: Set<String> = []
        for (name, node) in section["set"]?.members("an object of values by header name", maximum: 100) ?? [] {
            guard node.isEditableFieldName(name) else { continue }
            if !seen.insert(name.lowercased()).inserted { node.fail("the header \(name.quoted) is already set") }
            guard let value = node.string("a header value") else { continue }
            guard Syntax.isFieldValue(value) else {
                node.fail(
                    "a header value has at most 8192 bytes, no control characters, and no white space around it")
                continue
            }
            edits.set.append(HeaderSetting(name: name, value: value))
        }
        for node in section["remove"]?.elements("a list of header names", maximum: 100) ?? [] {
            guard let name = node.editableFieldName()?.lowercased() else { continue }
            if !seen.insert(name).inserted { node.fail("the header \(name.quoted) is already set or removed") }
            edits.remove.append(name)
        }
        return edits
    }
}

extension Node {
    /// Fields that decide where a message ends, what the connection is for, or whom it is for: they are the
    /// balancer's own to write (RFC 9110 §7.6.1, RFC 9112 §6).
    private static let ownFields: Set<String> = [
        "connection", "content-length", "expect", "http2-settings", "keep-alive", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    ]

    func editableFieldName() -> String? {
        guard let name = self.string("a header name") else { return nil }
        return self.isEditableFieldName(name) ? name : nil
    }

    /// Whether a route may change fields of that name; reports why not.
    func isEditableFieldName(_ name: String) -> Bool {
        guard Syntax.isToken(name), name.utf8.count <= 256 else {
            self.fail("\(name.quoted) is not a header name")
            return false
        }
        let lowercased = name.lowercased()
        if lowercased == "host" {
            self.fail("the Host header is set by the key \"host\" of the route")
            return false
        }
        if Self.ownFields.contains(lowercased) {
            self.fail(
                "the header \(name.quoted) is the balancer's own: it frames the message or belongs to the connection")
            return false
        }
        return true
    }
}

import HTTPWire
import JSONText
import Traffic

/// Reads which fields a route sets and removes.
enum HeaderEditsReader {
    /// `compresses`: the route says by itself in which form a body goes.
    static func read(_ node: Node, compresses: Bool = false) -> HeaderEdits? {
        guard let section = node.section(.headerEdits) else { return nil }
        var edits = HeaderEdits()
        var seen: Set<String> = []
        for (name, node) in section["set"]?.members("an object of values by header name", maximum: 100) ?? [] {
            guard node.isEditableFieldName(name), !(compresses && node.isForm(name)) else { continue }
            if !seen.insert(name.lowercased()).inserted { node.fail("the header \(name.quoted) is already set") }
            guard let value = node.string("a header value") else { continue }
            guard Syntax.isFieldValue(value) else {
                node.fail(
                    "a header value has at most 8192 bytes, no control characters, and no white space around it")
                continue
            }
            edits.set.append(HeaderSetting(name: name, value: value))
        }
        if edits.setBytes > HeaderEdits.largestSet {
            section["set"]?.fail(
                "its lines have \(edits.setBytes) bytes together; at most \(HeaderEdits.largestSet) fit into every head"
            )
        }
        for node in section["remove"]?.elements("a list of header names", maximum: 100) ?? [] {
            guard let name = node.editableFieldName()?.lowercased(), !(compresses && node.isForm(name)) else {
                continue
            }
            if !seen.insert(name).inserted { node.fail("the header \(name.quoted) is already set or removed") }
            edits.remove.append(name)
        }
        return edits
    }
}

extension Node {
    /// Whether a field says in which form a body goes; reports that it does.
    fileprivate func isForm(_ name: String) -> Bool {
        guard name.lowercased() == "content-encoding" else { return false }
        self.fail("clients read by the header \(name.quoted) what \"compression\" has done to a body")
        return true
    }

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
        switch OwnFields.editing(name) {
        case .allowed: return true
        case .byKey: self.fail("the Host header is set by the key \"host\" of the route")
        case .refused:
            self.fail(
                "the header \(name.quoted) is the balancer's own: it frames the message, belongs to the connection, or "
                    + "says what the balancer did")
        }
        return false
    }
}

import JSONText

/// An object with known keys. Opening it reports the keys that it must not have.
struct Section {
    let node: Node
    let keys: SectionKeys

    init(node: Node, keys: SectionKeys) {
        self.node = node
        self.keys = keys
        guard case .object(let members) = node.value.content else { return }
        for member in members where !keys.keys.contains(member.name) {
            let child = node.child(member)
            node.report.add(child.path, line: member.line, self.complaint(about: member.name))
        }
    }

    private func complaint(about name: String) -> String {
        // A key that the top level knows is not misspelt: it stands in the wrong place.
        let elsewhere: SectionKeys? =
            switch self.keys {
            case .routeTimeouts: .timeouts
            case .routeLimits: .limits
            default: nil
            }
        if let elsewhere, elsewhere.keys.contains(name) {
            return "cannot differ by route; set it in $.\(elsewhere.name)"
        }
        return "unknown key" + Suggestion.text(for: name, among: self.keys.keys)
    }

    func fail(_ message: String) { self.node.fail(message) }

    func has(_ key: String) -> Bool { self.node.value[key] != nil }

    subscript(_ key: String) -> Node? {
        assert(self.keys.keys.contains(key), "the key \(key) is not in the section's list")
        return self.node.member(key)
    }

    /// The value of a key that must be there.
    func required(_ key: String) -> Node? {
        if let node = self[key] { return node }
        self.fail("the key \(key.quoted) is missing")
        return nil
    }

    /// Reads a key, if it is there and of the right form, over the default that `target` holds.
    func read<Value>(_ key: String, into target: inout Value, _ form: (Node) -> Value?) {
        if let node = self[key], let value = form(node) { target = value }
    }

    /// Likewise where the default is that there is none.
    func read<Value>(_ key: String, into target: inout Value?, _ form: (Node) -> Value?) {
        if let node = self[key], let value = form(node) { target = value }
    }
}

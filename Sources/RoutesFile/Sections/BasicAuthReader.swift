import JSONText
import Traffic

/// Reads who may ask a route. `headers`: what it does to requests.
enum BasicAuthReader {
    static func read(_ node: Node, headers: HeaderEdits) -> BasicAuthSpec? {
        guard let section = node.section(.basicAuth) else { return nil }
        guard let realm = section.required("realm")?.parsed("a text of 1 to 256 bytes without \" and \\", self.realm)
        else { return nil }
        var spec = BasicAuthSpec(realm: realm)
        if let node = section["users"] { spec.users = self.users(node) }
        spec.file = section["usersFile"]?.filePath(limit: 4_095).map { NamedFile(path: $0) }
        if !section.has("users"), !section.has("usersFile") {
            section.fail("expected \"users\" or \"usersFile\"")
        }
        section.read("forward", into: &spec.forwards) { $0.bool() }
        if let node = section["userHeader"], let name = node.editableFieldName() {
            if headers.set.contains(where: { $0.name.lowercased() == name.lowercased() }) {
                node.fail("the header \(name.quoted) is already set by \"requestHeaders\"")
            } else if name.contains("_") {
                node.fail("expected a name with no _, which many servers read as -")
            } else if name.lowercased() == "authorization" {
                node.fail("a user's name is no credentials")
            } else {
                spec.userHeader = name
            }
        }
        return spec
    }

    private static func realm(_ text: String) -> String? {
        guard (1...256).contains(text.utf8.count),
            text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F && $0 != 0x22 && $0 != 0x5C })
        else { return nil }
        return text
    }

    private static func users(_ node: Node) -> [UserSpec] {
        guard let members = node.members("an object of hashes by user's name", maximum: 1_000) else { return [] }
        if members.isEmpty { node.fail("expected at least one user") }
        return members.compactMap { name, node in
            if let fault = UserFile.fault(inName: name) {
                node.fail(fault)
                return nil
            }
            // What was meant as a hash may be a password: the message does not show it.
            guard case .string(let hash) = node.value.content else {
                node.failExpecting("a hash of crypt(5)")
                return nil
            }
            if let fault = PasswordForm.fault(in: hash) {
                node.fail(fault)
                return nil
            }
            return UserSpec(name: name, hash: hash)
        }
    }
}

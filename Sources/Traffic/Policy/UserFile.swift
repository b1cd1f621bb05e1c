/// A file of users: `NAME:HASH` a line, as `htpasswd` writes it; empty lines and those that begin with `#` say nothing.
package enum UserFile {
    package static let largestCount = 100_000
    package static let longestName = 255

    /// The users of the lines that are good, and what is wrong with the first that is not, line included.
    package static func read(_ bytes: [UInt8]) -> (users: [UserSpec], fault: String?) {
        var users: [UserSpec] = []
        var names: Set<String> = []
        var fault: String?
        for (index, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            var line = line
            if line.last == 0x0D { line = line.dropLast() }
            guard let first = line.first, first != 0x23 else { continue }
            func note(_ words: String) { if fault == nil { fault = "line \(index + 1): \(words)" } }
            guard let colon = line.firstIndex(of: 0x3A), let name = String(validating: line[..<colon], as: UTF8.self),
                let hash = String(validating: line[(colon + 1)...], as: UTF8.self)
            else {
                note("expected NAME:HASH")
                continue
            }
            if let words = self.fault(inName: name) ?? PasswordForm.fault(in: hash) {
                note(words)
            } else if !names.insert(name).inserted {
                note("the name \"\(name)\" was already given")
            } else if users.count == self.largestCount {
                note("there are more than \(self.largestCount) users")
            } else {
                users.append(UserSpec(name: name, hash: hash))
            }
        }
        if users.isEmpty, fault == nil { fault = "names no user" }
        return (users, fault)
    }

    /// nil: a client can say it (RFC 7617 2), and a field can have it.
    package static func fault(inName name: String) -> String? {
        guard (1...self.longestName).contains(name.utf8.count), !name.utf8.contains(0x3A),
            name.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }), name.utf8.first != 0x20, name.utf8.last != 0x20
        else {
            return "a user's name has 1 to \(self.longestName) bytes, no colon, no control characters, and no blanks "
                + "around it"
        }
        return nil
    }
}

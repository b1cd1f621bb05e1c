/// The users of a route, found by name without allocating.
package struct UserTable: Sendable {
    package struct User: Sendable {
        package let name: [UInt8]
        package let hash: [UInt8]
    }

    /// Never empty.
    package let users: [User]
    private let places: [UInt64: Int]
    private let key: (UInt64, UInt64)

    /// Of names the first counts. `key` is secret: nobody outside may tell which user an unknown name is taken for.
    package init(_ specs: [UserSpec], key: (UInt64, UInt64)) {
        self.key = key
        var users: [User] = []
        var places: [UInt64: Int] = [:]
        for spec in specs {
            let name = Array(spec.name.utf8)
            let hash = Self.hash(name.span, key)
            guard places[hash] == nil else { continue }
            places[hash] = users.count
            users.append(User(name: name, hash: Array(spec.hash.utf8)))
        }
        self.users = users
        self.places = places
    }

    private static func hash(_ name: borrowing Span<UInt8>, _ key: (UInt64, UInt64)) -> UInt64 {
        var hash = SipHash(key: key)
        hash.add(name)
        return hash.finish()
    }

    /// The user's index, and whether there is one of that name: an unknown name is always the same user's, whose password is
    /// looked at in vain, so that it takes as long as a known one.
    package func find(_ name: borrowing Span<UInt8>) -> (index: Int, isKnown: Bool) {
        let hash = Self.hash(name, self.key)
        if let index = self.places[hash], self.users[index].name.count == name.count {
            var difference: UInt8 = 0
            for place in name.indices { difference |= name[place] ^ self.users[index].name[place] }
            if difference == 0 { return (index, true) }
        }
        return (Int(hash % UInt64(max(1, self.users.count))), false)
    }
}

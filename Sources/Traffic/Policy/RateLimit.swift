/// A rule of a route with the table of its keys, which outlives the route's table.
package final class RateLimit: Sendable {
    package enum Kind: Sendable { case address, all, header, cookie, user }

    package let spec: RateLimitSpec
    package let table: RateTable
    package let rate: RateSpec
    package let isOnTrial: Bool
    package let kind: Kind
    /// Of the field (lower case) or cookie that has the key.
    package let keyName: [UInt8]
    private let except: AddressSet

    init(_ spec: RateLimitSpec, table: RateTable) {
        self.spec = spec
        self.table = table
        self.rate = spec.rate
        self.isOnTrial = spec.dryRun
        switch spec.key {
        case .clientAddress: (self.kind, self.keyName) = (.address, [])
        case .all: (self.kind, self.keyName) = (.all, [])
        case .user: (self.kind, self.keyName) = (.user, [])
        case .header(let name): (self.kind, self.keyName) = (.header, Array(name.utf8))
        case .cookie(let name): (self.kind, self.keyName) = (.cookie, Array(name.utf8))
        }
        self.except = AddressSet(spec.except)
    }

    package func holds(for client: IPAddress) -> Bool { self.except.isEmpty || !self.except.contains(client) }

    /// Of a client's address.
    package func hash(_ client: IPAddress) -> UInt64 {
        let mask = client.isV4 ? 96 + min(32, self.spec.ipv4Prefix) : min(128, self.spec.ipv6Prefix)
        let block = AddressBlock(base: client, prefixLength: mask).first
        var hash = self.table.hash
        hash.add(UInt8(ascii: "a"))
        hash.add(block.high)
        hash.add(block.low)
        return hash.finish()
    }

    /// Of the value of a field or cookie, or of a user's name.
    package func hash(_ value: borrowing Span<UInt8>) -> UInt64 {
        var hash = self.table.hash
        hash.add(UInt8(ascii: "v"))
        hash.add(value)
        return hash.finish()
    }

    /// Of all requests.
    package var hashOfAll: UInt64 {
        var hash = self.table.hash
        hash.add(UInt8(ascii: "*"))
        return hash.finish()
    }
}

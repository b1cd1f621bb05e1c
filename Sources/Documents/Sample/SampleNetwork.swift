/// The chain whose data a sample imitates, with the chain's own figures.
package enum SampleNetwork: String, CaseIterable, Sendable {
    case kusama
    case polkadot

    package var displayName: String { self == .kusama ? "Kusama" : "Polkadot" }

    /// Decimals of the smallest unit.
    package var decimals: Int32 { self == .kusama ? 12 : 10 }

    /// The newest era; eras carry six sessions.
    var era: Int { self == .kusama ? 7150 : 1620 }
    var session: Int { era * 6 + 3 }

    var block: Int { self == .kusama ? 25_600_000 : 23_300_000 }

    /// The network that an address belongs to, told by its first character.
    package static func of(address: String) -> SampleNetwork {
        address.hasPrefix("1") ? .polkadot : .kusama
    }
}

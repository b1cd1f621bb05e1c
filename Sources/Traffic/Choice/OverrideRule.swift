/// Who may choose a side of a route by the header that the route names for it.
package struct OverrideRule: Sendable {
    private let named: AddressSet
    private let trustedOnly: Bool

    package init(_ spec: OverrideSpec) {
        self.named = AddressSet(spec.trusted)
        self.trustedOnly = spec.trustedOnly
    }

    /// Whether the address of the client decides, so that it must be known.
    package var dependsOnClient: Bool { !self.named.isEmpty || self.trustedOnly }

    /// Where addresses are named, they decide about the client, whoever speaks for it; a trusted peer's word counts only
    /// where none are.
    package func admits(_ client: IPAddress, isPeerTrusted: Bool) -> Bool {
        if !self.named.isEmpty { return self.named.contains(client) }
        return !self.trustedOnly || isPeerTrusted
    }
}

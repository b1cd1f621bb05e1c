/// Who may come, by address. `deny` wins; with `allow` all others are refused.
package struct AddressRule: Sendable {
    package enum Verdict: Sendable, Equatable {
        /// By that block of `allow`; nil: there is none, and nothing denies it.
        case allowed(AddressBlock?)
        case denied(AddressBlock)
        /// There is an `allow`, and it is in none of its blocks.
        case notAllowed

        package var isAllowed: Bool { if case .allowed = self { true } else { false } }
    }

    private let allow: [AddressBlock]?
    private let deny: [AddressBlock]

    package init(_ spec: AccessSpec) {
        self.allow = spec.allow
        self.deny = spec.deny
    }

    /// Nobody is refused.
    package var isOpen: Bool { self.allow == nil && self.deny.isEmpty }

    package func verdict(on address: IPAddress) -> Verdict {
        for block in self.deny where block.contains(address) { return .denied(block) }
        guard let allow else { return .allowed(nil) }
        for block in allow where block.contains(address) { return .allowed(block) }
        return .notAllowed
    }
}

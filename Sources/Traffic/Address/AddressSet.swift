/// Addresses given as blocks, for trust decisions. Looking one up costs a comparison a block: such lists are short.
package struct AddressSet: Sendable {
    private let blocks: [AddressBlock]

    package init(_ blocks: [AddressBlock]) { self.blocks = blocks }

    package var isEmpty: Bool { self.blocks.isEmpty }

    package func contains(_ ip: IPAddress) -> Bool {
        for block in self.blocks where block.contains(ip) { return true }
        return false
    }
}

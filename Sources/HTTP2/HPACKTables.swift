/// What HPACK remembers of one connection, in both directions (RFC 7541 2.2).
package struct HPACKTables: ~Copyable {
    package var inflater: FieldInflater
    package var deflater: FieldDeflater

    /// nil: there is no memory.
    package init?() {
        guard let inflater = FieldInflater(), let deflater = FieldDeflater() else { return nil }
        self.inflater = inflater
        self.deflater = deflater
    }
}

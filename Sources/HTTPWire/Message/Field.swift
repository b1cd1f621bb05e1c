/// One header field: where its name and its value (without surrounding white space) stand.
package struct Field: Equatable, Sendable {
    struct Traits: OptionSet, Sendable {
        let rawValue: UInt8

        /// See `nominated`.
        static let nominated = Traits(rawValue: 1)
        /// The line stands in the bytes as it would be written: one blank before the value, none behind it.
        static let canonical = Traits(rawValue: 2)
        /// The name has a `_`.
        static let underscore = Traits(rawValue: 4)
    }

    package var name: ByteRange
    package var value: ByteRange
    package var id: FieldName
    var traits: Traits

    /// Named by a `Connection` option: meant for this hop, not passed on.
    package var nominated: Bool { self.traits.contains(.nominated) }
    /// CGI and its heirs read such a name as one with a hyphen.
    package var hasUnderscore: Bool { self.traits.contains(.underscore) }

    /// Nothing but what it says: no name that is known, and written as it came if it goes on.
    @inline(__always)
    var isPlain: Bool { self.id == .other && self.traits == .canonical }

    /// The whole line of a canonical field, its CRLF included.
    @inline(__always)
    var line: (lower: Int, upper: Int) { (Int(self.name.lower), Int(self.value.upper) &+ 2) }
}

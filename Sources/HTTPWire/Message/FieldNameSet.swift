/// A set of known field names, one bit each.
package struct FieldNameSet: Sendable, Equatable {
    private var bits: UInt64 = 0

    package init() {}

    @inline(__always)
    package func contains(_ name: FieldName) -> Bool {
        self.bits &>> UInt64(name.rawValue) & 1 != 0
    }

    @inline(__always)
    package mutating func insert(_ name: FieldName) {
        self.bits |= 1 &<< UInt64(name.rawValue)
    }
}
